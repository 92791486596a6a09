package plugin

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// settingFlags are the flags that change a setting, and how a message names them.
var settingFlags = map[report.Setting]struct{ flag, text string }{
	report.SettingAccess:         {"access", "--socket-path, --access endpoint"},
	report.SettingAccessEndpoint: {"access", "--access endpoint"},
	report.SettingAccessSocket:   {"access", "--access socket"},
	report.SettingFrom:           {"from", "--from"},
	report.SettingNodes:          {"nodes", "--nodes"},
	report.SettingParent:         {"parent", "--parent"},
	report.SettingPlatform:       {"platform", "--platform"},
	report.SettingPort:           {"port", "--port"},
	report.SettingPublish:        {"publish", "--publish"},
	report.SettingPull:           {"pull", "--pull"},
	report.SettingSocketPath:     {"socket-path", "--socket-path"},
	report.SettingTimeout:        {"timeout", "--timeout"},
	report.SettingWait:           {"wait", "--wait"},
}

// flagNamer returns a function that names the flag of a setting; it returns "" if the
// command has no such flag. Only this package knows flags, see report.Setting.
func flagNamer(cmd *cobra.Command) func(report.Setting) string {
	return func(setting report.Setting) string {
		known, ok := settingFlags[setting]
		if !ok || cmd.Flags().Lookup(known.flag) == nil {
			return ""
		}
		return known.text
	}
}

// withFlags returns err with the flags of its settings in the message; of joined
// errors each has its own.
func withFlags(err error, flag func(report.Setting) string) error {
	parts := joinedErrors(err)
	for i, part := range parts {
		if text := flag(report.SettingOf(part)); text != "" {
			parts[i] = &flaggedError{part, text}
		}
	}
	return errors.Join(parts...)
}

// flaggedError is an error with the flag that fixes it.
type flaggedError struct {
	err  error
	flag string
}

func (e *flaggedError) Error() string { return e.err.Error() + " (" + e.flag + ")" }

// Unwrap returns the error without the flag.
func (e *flaggedError) Unwrap() error { return e.err }
