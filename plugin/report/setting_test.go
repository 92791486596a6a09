package report

import (
	"errors"
	"fmt"
	"testing"

	"gotest.tools/v3/assert"
)

func TestSettingOf(t *testing.T) {
	t.Parallel()
	plain := &SettingError{Setting: SettingPort, Err: errors.New("no port")}
	assert.Equal(t, SettingOf(errors.Join(errors.New("other"), plain)), SettingPort)
	assert.Equal(t, SettingOf(fmt.Errorf("%w: %w", &Fault{}, plain)), SettingPort)
	assert.Equal(t, SettingOf(errors.New("other")), Setting(""))
	assert.Equal(t, plain.Error(), "no port")
}
