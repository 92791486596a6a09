package report

import "errors"

// Setting names what the user can change to fix an error. Only package plugin knows
// flags: the packages below it say in words what is wrong, and package plugin adds the
// flag, if the command has it. For an error with a cause, the cause decides the flag unless
// its Fault names a Setting.
type Setting string

// The settings that errors name.
const (
	SettingAccessSocket Setting = "access-socket" // that a client container gets the engine's socket
	SettingFrom         Setting = "from"          // where probes are sent from
	SettingNodes        Setting = "nodes"         // that every node of a Swarm gets a server
	SettingPort         Setting = "port"          // the port that the server listens on
	SettingRelayPublish Setting = "relay-publish" // where a relay is published
	SettingPull         Setting = "pull"          // when the user's image is pulled
)

// SettingError is an error that a Setting fixes.
type SettingError struct {
	Setting Setting
	Err     error
}

// Error returns the message of the error underneath.
func (e *SettingError) Error() string { return e.Err.Error() }

// Unwrap returns the error underneath.
func (e *SettingError) Unwrap() error { return e.Err }

// SettingOf returns the Setting of a SettingError in err; empty if there is none.
func SettingOf(err error) Setting {
	if e := new(SettingError); errors.As(err, &e) {
		return e.Setting
	}
	return ""
}
