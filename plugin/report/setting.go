package report

import "errors"

// Setting names what the user can change to fix an error. The packages below package
// plugin know no flags: they say what is wrong in words, and add the Setting. Package
// plugin knows which flag of which command it is, and adds that to the message. A
// command that lacks the flag adds nothing.
type Setting string

// The settings. The comments say which flag of nestprobe changes each today.
const (
	SettingAccess         Setting = "access"          // how a client container gets the Docker API: --socket-path or --access endpoint
	SettingAccessEndpoint Setting = "access-endpoint" // that it gets the user's endpoint: --access endpoint
	SettingAccessSocket   Setting = "access-socket"   // that it gets the engine's socket: --access socket
	SettingFrom           Setting = "from"            // where probes are sent from: --from
	SettingNodes          Setting = "nodes"           // that every node of a Swarm gets a server: --nodes
	SettingParent         Setting = "parent"          // the parent interface of network modes: --parent
	SettingPlatform       Setting = "platform"        // the platform of the user's image: --platform
	SettingPort           Setting = "port"            // the port that the server listens on: --port
	SettingPublish        Setting = "publish"         // the published ports: --publish
	SettingPull           Setting = "pull"            // when the user's image is pulled: --pull
	SettingSocketPath     Setting = "socket-path"     // where the engine's socket is on its host: --socket-path
	SettingTimeout        Setting = "timeout"         // how long one attempt may take: --timeout
	SettingWait           Setting = "wait"            // how long a server may take to answer: --wait
)

// SettingError is an error without a known cause that a Setting fixes. A Fault has its
// own Setting.
type SettingError struct {
	Setting Setting
	Err     error
}

// Error returns the message of the error underneath.
func (e *SettingError) Error() string { return e.Err.Error() }

// Unwrap returns the error underneath.
func (e *SettingError) Unwrap() error { return e.Err }

// SettingOf returns the Setting of a Fault or SettingError in err; empty if there is
// none.
func SettingOf(err error) Setting {
	if fault := new(Fault); errors.As(err, &fault) && fault.Setting != "" {
		return fault.Setting
	}
	if e := new(SettingError); errors.As(err, &e) {
		return e.Setting
	}
	return ""
}

// Settings returns the settings of the Report's findings by their causes. The JSON of a
// finding does not have its Setting, since users read that; a Report that one nestprobe
// process sends to another is sent with these, and the receiver calls SetSettings.
func (r *Report) Settings() map[Cause]Setting {
	settings := map[Cause]Setting{}
	add := func(findings []Finding) {
		for _, f := range findings {
			if f.Setting != "" {
				settings[f.Cause] = f.Setting
			}
		}
	}
	add(r.Findings)
	for _, mode := range r.Modes {
		add(mode.Findings)
	}
	return settings
}

// SetSettings gives the findings and network modes the settings of their causes.
func (r *Report) SetSettings(settings map[Cause]Setting) {
	set := func(findings []Finding) {
		for i, f := range findings {
			findings[i].Setting = settings[f.Cause]
		}
	}
	set(r.Findings)
	for i, mode := range r.Modes {
		set(mode.Findings)
		if len(mode.From) == 0 { // else its detail is not that of an error
			r.Modes[i].Setting = settings[mode.Cause]
		}
	}
}

// NameSettings appends to each hint or detail the flag of its Setting, such as
// "choose another port (--publish)". The function returns the flag; if it is empty,
// nothing is appended. The Settings are empty afterwards, so a second call changes
// nothing.
func (r *Report) NameSettings(flag func(Setting) string) {
	settings := r.Settings()
	for i, p := range r.Probes { // its hint is that of the finding of its cause
		r.Probes[i].Hint = withFlag(p.Hint, flag(settings[p.Cause]))
	}
	nameFindingSettings(r.Findings, flag)
	for i, mode := range r.Modes {
		r.Modes[i].Detail, r.Modes[i].Setting = withFlag(mode.Detail, flag(mode.Setting)), ""
		nameFindingSettings(mode.Findings, flag)
	}
	for i, access := range r.Accesses {
		r.Accesses[i].Detail, r.Accesses[i].Setting = withFlag(access.Detail, flag(access.Setting)), ""
	}
}

func nameFindingSettings(findings []Finding, flag func(Setting) string) {
	for i, f := range findings {
		findings[i].Hint, findings[i].Setting = withFlag(f.Hint, flag(f.Setting)), ""
	}
}

func withFlag(text, flag string) string {
	if text == "" || flag == "" {
		return text
	}
	return text + " (" + flag + ")"
}
