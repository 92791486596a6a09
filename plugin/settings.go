package plugin

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Only this package knows flags. The packages below it say in words what is wrong; the
// flag that may fix it is added here, if the command has it.

// causeFlags are the flags that may fix a cause, with a value where only one does.
var causeFlags = map[report.Cause][]string{
	connection.EndpointIsLoopback:    {"access socket"},
	connection.SocketPathNotOnEngine: {"socket-path", "access endpoint"},
	diagnosis.HostHeaderRefused:      {"header"},
	diagnosis.ImageWrongPlatform:     {"platform"},
	diagnosis.NotHTTP:                {"port", "scheme tcp"},
	diagnosis.PortInUse:              {"publish"},
	diagnosis.PortReserved:           {"publish"},
	diagnosis.ServerNotReady:         {"wait"},
	diagnosis.ServerSilent:           {"timeout"},
	diagnosis.ServerSpeaksHTTP2:      {"scheme tcp"},
	diagnosis.ServerWantsTLS:         {"scheme https"},
	diagnosis.TLSOnPlainPort:         {"scheme http"},
	diagnosis.UnexpectedBody:         {"path", "expect-body"},
	diagnosis.UnexpectedStatus:       {"path", "expect-status"},
	diagnosis.WebSocketRefused:       {"websocket"},
}

// settingFlags are the flags that change a setting.
var settingFlags = map[report.Setting]string{
	report.SettingAccessSocket: "access socket",
	report.SettingFrom:         "from",
	report.SettingNodes:        "nodes",
	report.SettingPort:         "port",
	report.SettingPull:         "pull",
	report.SettingRelayPublish: "relay-publish",
}

// flagsOf are the flags that may fix a cause, or the one of a setting if there is one.
func flagsOf(cause report.Cause, setting report.Setting) []string {
	if flag, ok := settingFlags[setting]; ok {
		return []string{flag}
	}
	return causeFlags[cause]
}

// flagNamer adds to messages the flags of a command.
type flagNamer struct{ cmd *cobra.Command }

// with appends the flags that the command has to a text, if there is one.
func (n flagNamer) with(text string, flags ...string) string {
	if text == "" {
		return ""
	}
	return text + n.suffix(flags)
}

// suffix names the flags that the command has, such as " (--path, --expect-status)".
func (n flagNamer) suffix(flags []string) string {
	var known []string
	for _, flag := range flags {
		name, _, _ := strings.Cut(flag, " ")
		if n.cmd.Flags().Lookup(name) != nil {
			known = append(known, "--"+flag)
		}
	}
	if len(known) == 0 {
		return ""
	}
	return " (" + strings.Join(known, ", ") + ")"
}

// report returns a Report whose hints name flags.
func (n flagNamer) report(rep *report.Report) *report.Report {
	named := *rep
	named.Findings = n.findings(rep.Findings)
	named.Probes = slices.Clone(rep.Probes)
	for i, p := range named.Probes {
		named.Probes[i].Hint = n.with(p.Hint, causeFlags[p.Cause]...)
	}
	named.Accesses = slices.Clone(rep.Accesses)
	for i, access := range named.Accesses {
		named.Accesses[i].Detail = n.with(access.Detail, causeFlags[access.Cause]...)
	}
	named.Modes = slices.Clone(rep.Modes)
	for i, mode := range named.Modes {
		named.Modes[i].Findings = n.findings(mode.Findings)
		if len(mode.From) == 0 { // its detail is an error
			named.Modes[i].Detail = n.with(mode.Detail, causeFlags[mode.Cause]...)
		}
	}
	return &named
}

func (n flagNamer) findings(findings []report.Finding) []report.Finding {
	named := slices.Clone(findings)
	for i, f := range named {
		named[i].Hint = n.with(f.Hint, flagsOf(f.Cause, f.Setting)...)
	}
	return named
}

// error returns err with the flags of its cause or setting in the message; of joined
// errors each has its own.
func (n flagNamer) error(err error) error {
	parts := joinedErrors(err)
	for i, part := range parts {
		var flags []string
		if fault := new(report.Fault); errors.As(part, &fault) {
			flags = flagsOf(fault.Cause, fault.Setting)
		}
		if flag, ok := settingFlags[report.SettingOf(part)]; ok {
			flags = []string{flag}
		}
		if suffix := n.suffix(flags); suffix != "" {
			parts[i] = fmt.Errorf("%w%s", part, suffix)
		}
	}
	return errors.Join(parts...)
}
