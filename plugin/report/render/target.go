package render

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render/layout"
)

// answer is what writeTarget says of a target: the verdict, then the places that reach it,
// and then what keeps the others from it.
type answer struct {
	rep     *report.Report
	screen  layout.Screen
	blocks  []block          // for each finding that is about places
	others  []report.Finding // errors and warnings that are about no place
	reached []string         // the places that reach the target
	misled  []report.Place   // the places where it is reached, but not at the address that the user has typed
}

// block is a finding, and the places that cannot reach the target because of it.
type block struct {
	report.Finding

	places []report.Place
}

// writeTarget writes the answer of diagnose TARGET. Nothing in it is written twice.
func writeTarget(out *bytes.Buffer, rep *report.Report, s layout.Screen) {
	a := newAnswer(rep, s)
	a.writeVerdict(out)
	if rep.Target.Meaning != "" {
		s.Wrap(out, rep.Target.Meaning+".", 0)
	}
	if len(a.misled) > 0 {
		fmt.Fprintln(out, "Use instead:")
	}
	writeUse(out, rep, s)
	for i, b := range a.blocks {
		if i > 0 || len(a.reached) > 0 {
			a.writeHeadline(out, b)
		}
		a.writeBlock(out, b)
	}
	writeFindings(s, out, rep, a.others)
	a.writeNotes(out)
	if s.Width == 0 {
		a.writeRest(out)
	}
}

func newAnswer(rep *report.Report, s layout.Screen) *answer {
	a := &answer{rep: rep, screen: s}
	for _, best := range rep.Best {
		a.reached = append(a.reached, placeName(rep, best.Vantage))
	}
	for _, p := range rep.Target.Places {
		if a.isReached(p.Vantage) && a.isMisled(p) {
			a.misled = append(a.misled, p)
		}
	}
	for _, f := range rep.Findings {
		if f.Severity == report.SeverityInfo {
			continue
		}
		var places []report.Place
		for _, p := range rep.Target.Places {
			if a.blames(f, p) {
				places = append(places, p)
			}
		}
		if len(places) == 0 && (f.Severity == report.SeverityWarning || len(a.reached) > 0) {
			a.others = append(a.others, f)
		} else {
			a.blocks = append(a.blocks, block{f, places})
		}
	}
	return a
}

// blames says whether a finding is why a place does not reach the target: its evidence was
// seen there, or else its rows have the cause.
func (a *answer) blames(f report.Finding, p report.Place) bool {
	if a.isReached(p.Vantage) {
		return false
	}
	elsewhere := false
	for _, line := range f.Evidence {
		seen := observedBy(a.rep, line)
		if seen != nil && seen.Vantage == p.Vantage {
			return true
		}
		elsewhere = elsewhere || seen != nil
	}
	probes := probesFrom(a.rep, p.Vantage)
	return !elsewhere && (len(probes) == 0 || slices.ContainsFunc(probes, func(row *report.Probe) bool { return row.Cause == f.Cause }))
}

// isMisled says whether a finding is that the typed address does not lead to the target from a
// place.
func (a *answer) isMisled(p report.Place) bool {
	isTyped := func(line string) bool {
		row := observedBy(a.rep, line)
		return row != nil && row.Vantage == p.Vantage && row.Address == p.Typed && !row.OK
	}
	return slices.ContainsFunc(a.rep.Findings, func(f report.Finding) bool {
		return f.Severity != report.SeverityInfo && slices.ContainsFunc(f.Evidence, isTyped)
	})
}

// writeBlock writes what decides the cause, what was tried, and the fix.
func (a *answer) writeBlock(out *bytes.Buffer, b block) {
	if b.Title != "" {
		a.screen.Wrap(out, b.Title+".", 0)
	}
	a.writeNetworks(out, b)
	listens := false
	for _, line := range withoutRows(a.screen, a.rep, b.Evidence) {
		if a.saysApart(b, line) {
			continue
		}
		listens = listens || strings.Contains(line, "listen")
		a.screen.Wrap(out, line, 2)
	}
	a.writeTried(out, b)
	if t := a.rep.Target; !listens && len(t.Listens) > 0 {
		state := ""
		if t.State != stateRunning && t.State != "" {
			state = " and is " + t.State
		}
		a.screen.Wrap(out, fmt.Sprintf("%s listens on %s%s.", a.containerName(), list(t.Listens), state), 0)
	}
	a.writeFix(out, b.Finding)
}

func (a *answer) serverName() string {
	name, _, _ := strings.Cut(a.rep.Target.Name, ":")
	return name
}

// containerName is the name of the server's container, or what the user has called it.
func (a *answer) containerName() string {
	if a.rep.Target.Address && len(a.rep.Servers) > 0 {
		return a.rep.Servers[0].Name
	}
	return a.serverName()
}

// writeNetworks writes who is on which network, if the places are on none of the target's.
func (a *answer) writeNetworks(out *bytes.Buffer, b block) {
	apart := slices.DeleteFunc(slices.Clone(b.places), func(p report.Place) bool { return !p.Apart })
	if len(apart) == 0 {
		return
	}
	for _, p := range apart {
		a.screen.Wrap(out, p.Name+" is on  "+cmp.Or(strings.Join(p.Networks, ", "), "no network"), 2)
	}
	a.screen.Wrap(out, a.containerName()+" is on  "+cmp.Or(strings.Join(a.rep.Target.Networks, ", "), "no network"), 2)
}

// saysApart says whether a line of evidence is what writeNetworks has written.
func (a *answer) saysApart(b block, line string) bool {
	return strings.Contains(line, " has no network in common with the server") &&
		slices.ContainsFunc(b.places, func(p report.Place) bool { return p.Apart })
}

// labelWidth is the width of what stands before the lines of a block.
const labelWidth = 10

func labelled(text string) string { return text + strings.Repeat(" ", labelWidth-len(text)) }

// writeFix writes the commands, or else what to do, and the same for Compose.
func (a *answer) writeFix(out *bytes.Buffer, f report.Finding) {
	first := labelled("Fix:")
	for _, command := range f.Commands {
		fmt.Fprintln(out, first+command)
		first = labelled("")
	}
	if f.Hint != "" {
		a.screen.Wrap(out, first+f.Hint, labelWidth)
	}
	first = labelled("Compose:")
	for _, line := range f.Compose {
		fmt.Fprintln(out, first+line)
		first = labelled("")
	}
	if f.Then != "" {
		fmt.Fprintln(out, labelled("Then:")+f.Then)
	}
	if page := pageOf(a.screen, f); page != "" {
		fmt.Fprintln(out, labelled("More:")+page)
	}
	fmt.Fprintln(out)
}

// writeNotes writes what else matters of a target that is reached, and on a terminal how
// much more there is.
func (a *answer) writeNotes(out *bytes.Buffer) {
	if len(a.reached) > 0 && len(a.rep.Servers) > 0 && a.onlyOnLoopback() {
		ips := []string{}
		for _, b := range a.rep.Servers[0].Published {
			ips = addOnce(ips, b.HostIP)
		}
		fmt.Fprintf(out, "Published on %s only: other machines cannot reach it.\n", list(ips))
	}
	if a.screen.Width == 0 {
		return
	}
	works, failed, not := a.rest()
	var more []string
	count := func(what string, rows []*report.Probe) {
		if len(rows) > 0 {
			more = append(more, fmt.Sprintf("%s: %s", what, plural(len(rows), "address")))
		}
	}
	count("Not expected to work", not)
	count("Works too", works)
	count("Failed", failed)
	if len(more) == 0 && len(a.rep.Checks) > 0 {
		more = []string{"More: " + plural(len(a.rep.Checks), "fact")}
	}
	if len(more) == 0 {
		return
	}
	a.screen.Wrap(out, strings.Join(more, ". ")+" (--no-trunc shows them)", 2)
}

func (a *answer) onlyOnLoopback() bool {
	published := a.rep.Servers[0].Published
	return len(published) > 0 && !slices.ContainsFunc(published, func(b report.PortBinding) bool {
		return !strings.HasPrefix(b.HostIP, "127.") && b.HostIP != "::1"
	})
}

// rest returns the probes that nothing else in the answer shows: the addresses that work
// besides the best, those that failed though others work, and those that cannot work.
func (a *answer) rest() (works, failed, not []*report.Probe) {
	shown := map[*report.Probe]bool{}
	for _, best := range a.rep.Best {
		shown[probeBehind(a.rep, best)] = true
	}
	blamed := map[string]bool{}
	for _, b := range a.blocks {
		for _, p := range b.places {
			blamed[p.Vantage] = true
		}
	}
	for i := range a.rep.Probes {
		p := &a.rep.Probes[i]
		switch {
		case shown[p]:
		case p.OK:
			works = append(works, p)
		case cannotWork(a.rep, p):
			not = append(not, p)
		case blamed[p.Vantage]: // in its block
		case p.NotExpected || !a.isReached(p.Vantage):
			not = append(not, p)
		default:
			failed = append(failed, p)
		}
	}
	return works, failed, not
}

func (a *answer) isReached(vantage string) bool {
	return slices.ContainsFunc(a.rep.Best, func(b report.Best) bool { return b.Vantage == vantage })
}

// writeRest writes everything else that was measured.
func (a *answer) writeRest(out *bytes.Buffer) {
	works, failed, not := a.rest()
	for _, part := range []struct {
		title string
		rows  []*report.Probe
	}{{"Works too:", works}, {"Failed:", failed}, {"Not expected to work:", not}} {
		if len(part.rows) == 0 {
			continue
		}
		rows := [][]string{{"FROM", "KIND", "ADDRESS", "TIME", "WHAT HAPPENED"}}
		for _, p := range part.rows {
			row := &probeRow{probe: *p}
			rows = append(rows, []string{placeName(a.rep, p.Vantage), row.Kind(), row.Address(), row.Time(), row.What()})
		}
		layout.BlankLine(out)
		fmt.Fprintln(out, part.title)
		for line := range strings.Lines(a.screen.Align(rows)) {
			fmt.Fprintln(out, strings.TrimRight(line, " \n"))
		}
	}
	layout.BlankLine(out)
	infos := slices.DeleteFunc(slices.Clone(a.rep.Findings), func(f report.Finding) bool { return f.Severity != report.SeverityInfo })
	writeFindings(a.screen, out, a.rep, infos)
	writeChecks(out, a.rep.Checks, a.screen)
}

// placeName is a place in words.
func placeName(rep *report.Report, vantage string) string {
	if isOwnContainer(rep, vantage) {
		return placeOf(rep, vantage)
	}
	for _, p := range rep.Target.Places {
		if p.Vantage == vantage {
			return p.Name
		}
	}
	return vantage
}

// list joins words as a sentence does.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
