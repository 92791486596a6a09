package client

import (
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	assert.Check(t, is.DeepEqual(withoutCredentials([]string{
		"HTTP_PROXY=http://user:secret@proxy:3128/x@y",
		"https_proxy=user:se@cret@proxy:3128",
		"FTP_PROXY=http://user@[::1]:3128",
		"ALL_PROXY=socks5://proxy:1080",
		"NO_PROXY=localhost,.example.com",
		"no_proxy",
	}), []string{
		"HTTP_PROXY=http://proxy:3128/x@y",
		"https_proxy=proxy:3128",
		"FTP_PROXY=http://[::1]:3128",
		"ALL_PROXY=socks5://proxy:1080",
		"NO_PROXY=localhost,.example.com",
		"no_proxy",
	}))
}
