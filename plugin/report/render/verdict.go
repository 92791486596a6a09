package render

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/morikuni/aec"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// answerColumn is where the second half of a headline begins.
const answerColumn = 40

// writeHalves writes two parts of a line. The second one has a line of its own if the
// terminal is too narrow for both.
func writeHalves(s layout.Screen, out *bytes.Buffer, left, right string, color aec.ANSI) {
	gap := max(2, answerColumn-utf8.RuneCountInString(left))
	length := utf8.RuneCountInString(left + right)
	line := left + strings.Repeat(" ", gap) + right
	switch {
	case right == "":
		line = left
	case s.Width == 0 || length+gap <= s.Width:
	case length+2 <= s.Width:
		line = left + strings.Repeat(" ", s.Width-length) + right
	default:
		line = left + "\n  " + right
	}
	if s.Color {
		line = color.Apply(line)
	}
	fmt.Fprintln(out, line)
}

// writeVerdict writes the first line: whether the target is reachable.
func (a *answer) writeVerdict(out *bytes.Buffer) {
	name := a.rep.Target.Name
	switch {
	case len(a.misled) > 0:
		a.writeMisled(out)
	case len(a.blocks) == 1 && len(a.reached) == 0:
		a.writeHeadline(out, a.blocks[0])
	case len(a.blocks) > 0 && len(a.reached) == 0:
		writeHalves(a.screen, out, name+" is not reachable", a.about(), aec.RedF)
		a.writeHeadline(out, a.blocks[0])
	case len(a.reached) > 0 && len(a.blocks) > 0:
		writeHalves(a.screen, out, name+" is reachable from "+list(a.reached), a.about(), aec.YellowF)
	case len(a.reached) > 0:
		writeHalves(a.screen, out, name+" is reachable", a.about(), aec.GreenF)
	}
}

// writeMisled writes that the server is reached, but not at the address or by the name that the
// user has typed.
func (a *answer) writeMisled(out *bytes.Buffer) {
	names := make([]string, len(a.misled))
	for i, p := range a.misled {
		names[i] = placeName(a.rep, p.Vantage)
	}
	line, color := fmt.Sprintf("%s is reachable, but not by this name from %s", a.rep.Target.Name, list(names)), aec.YellowF
	switch typed := a.misled[0].Typed; {
	case a.rep.Target.Address:
		line, color = fmt.Sprintf("%s does not lead to %s from %s", typed, a.containerName(), list(names)), aec.RedF
	case typed != a.rep.Target.Name: // the number of a port of the host
		line = fmt.Sprintf("%s is reachable, but not as %s from %s", a.rep.Target.Name, typed, list(names))
	}
	writeHalves(a.screen, out, line, a.about(), color)
	if len(a.blocks) > 0 {
		a.writeHeadline(out, a.blocks[0])
	}
}

// stateRunning is the state of a container that nothing is to be said of.
const stateRunning = "running"

// about is the server in parentheses: its name, if the user has written another one, its
// health, and where it is published.
func (a *answer) about() string {
	var words []string
	if len(a.rep.Servers) > 0 {
		server := a.rep.Servers[0]
		if typed, _, _ := strings.Cut(a.rep.Target.Name, ":"); server.Name != typed {
			words = append(words, server.Name)
		}
		if a.rep.Target.State != stateRunning {
			words = append(words, a.rep.Target.State)
		}
		words = append(words, a.published(server))
	}
	words = slices.DeleteFunc(words, func(w string) bool { return w == "" })
	if len(words) == 0 {
		return ""
	}
	return "(" + strings.Join(words, ", ") + ")"
}

func (a *answer) published(server report.Server) string {
	switch {
	case a.rep.Target.OnHost && a.rep.Target.State == "":
		return "" // it is on the engine's host itself
	case a.rep.Target.OnHost:
		return "on the network of the engine's host"
	case len(server.Published) == 0:
		return "not published"
	}
	at := make([]string, len(server.Published))
	for i, b := range server.Published {
		at[i] = fmt.Sprintf("%s:%d", bracketed(cmp.Or(b.HostIP, "0.0.0.0")), b.HostPort)
	}
	return "published on " + list(at)
}

func bracketed(ip string) string {
	if strings.Contains(ip, ":") {
		return "[" + ip + "]"
	}
	return ip
}

// writeHeadline writes who cannot reach the target, and the cause.
func (a *answer) writeHeadline(out *bytes.Buffer, b block) {
	headline := a.rep.Target.Name + " is not reachable"
	if len(b.places) > 0 {
		names := make([]string, len(b.places))
		for i, p := range b.places {
			names[i] = placeName(a.rep, p.Vantage)
		}
		verb := " cannot reach "
		if !slices.ContainsFunc(b.places, func(p report.Place) bool { return !a.hasAnswer(p) }) {
			verb = " cannot use the answer of "
		}
		headline = list(names) + verb + a.rep.Target.Name
	}
	color := aec.RedF
	if b.Severity == report.SeverityWarning {
		color = aec.YellowF
	}
	writeHalves(a.screen, out, headline, cmp.Or(string(b.Cause), "cause not known"), color)
}

// hasAnswer says whether the server itself answered from a place.
func (a *answer) hasAnswer(p report.Place) bool {
	return slices.ContainsFunc(probesFrom(a.rep, p.Vantage), func(row *report.Probe) bool {
		return row.Status != 0 && row.Identity == netprobe.IdentityWitnessed
	})
}
