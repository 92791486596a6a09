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
)

// answer is what writeTarget says of a target: the verdict, then the places that reach it,
// and then what keeps the others from it.
type answer struct {
	rep     *report.Report
	screen  screen
	blocks  []block          // for each finding that is about places
	others  []report.Finding // errors and warnings that are about no place
	reached []string         // the places that reach the target
	astray  []report.Place   // the places where it is reached, but not at the address that the user has asked about
}

// block is a finding, and the places that cannot reach the target because of it.
type block struct {
	report.Finding

	places []report.Place
}

// writeTarget writes the answer of diagnose TARGET. Nothing in it is written twice.
func writeTarget(out *bytes.Buffer, rep *report.Report, s screen) {
	a := newAnswer(rep, s)
	a.writeVerdict(out)
	if rep.Target.Meaning != "" {
		s.wrap(out, rep.Target.Meaning+".", 0)
	}
	if len(a.astray) > 0 {
		fmt.Fprintln(out, "Use instead:")
	}
	writeUse(out, rep, s)
	for i, b := range a.blocks {
		if i > 0 || len(a.reached) > 0 {
			a.writeHeadline(out, b)
		}
		a.writeBlock(out, b)
	}
	s.writeFindings(out, rep, a.others)
	a.writeNotes(out)
	if s.width == 0 {
		a.writeRest(out)
	}
}

func newAnswer(rep *report.Report, s screen) *answer {
	a := &answer{rep: rep, screen: s}
	for _, best := range rep.Best {
		a.reached = append(a.reached, placeName(rep, best.Vantage))
	}
	for _, p := range rep.Target.Places {
		if a.isReached(p.Vantage) && a.leadsAstray(p) {
			a.astray = append(a.astray, p)
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

// leadsAstray says whether a finding is that the address that the user has asked about does not
// lead to the target from a place.
func (a *answer) leadsAstray(p report.Place) bool {
	isTyped := func(line string) bool {
		row := observedBy(a.rep, line)
		return row != nil && row.Vantage == p.Vantage && row.Address == p.Typed && !row.OK
	}
	return slices.ContainsFunc(a.rep.Findings, func(f report.Finding) bool {
		return f.Severity != report.SeverityInfo && slices.ContainsFunc(f.Evidence, isTyped)
	})
}

// answerColumn is where the second half of a headline begins.
const answerColumn = 40

// writeHalves writes two parts of a line. The second one has a line of its own if the
// terminal is too narrow for both.
func (s screen) writeHalves(out *bytes.Buffer, left, right string, color aec.ANSI) {
	gap := max(2, answerColumn-utf8.RuneCountInString(left))
	length := utf8.RuneCountInString(left + right)
	line := left + strings.Repeat(" ", gap) + right
	switch {
	case right == "":
		line = left
	case s.width == 0 || length+gap <= s.width:
	case length+2 <= s.width:
		line = left + strings.Repeat(" ", s.width-length) + right
	default:
		line = left + "\n  " + right
	}
	if s.color {
		line = color.Apply(line)
	}
	fmt.Fprintln(out, line)
}

// writeVerdict writes the first line: whether the target is reachable.
func (a *answer) writeVerdict(out *bytes.Buffer) {
	name := a.rep.Target.Name
	switch {
	case len(a.astray) > 0:
		a.writeAstray(out)
	case len(a.blocks) == 1 && len(a.reached) == 0:
		a.writeHeadline(out, a.blocks[0])
	case len(a.blocks) > 0 && len(a.reached) == 0:
		a.screen.writeHalves(out, name+" is not reachable", a.about(), aec.RedF)
		a.writeHeadline(out, a.blocks[0])
	case len(a.reached) > 0 && len(a.blocks) > 0:
		a.screen.writeHalves(out, name+" is reachable from "+list(a.reached), a.about(), aec.YellowF)
	case len(a.reached) > 0:
		a.screen.writeHalves(out, name+" is reachable", a.about(), aec.GreenF)
	}
}

// writeAstray writes that the server is reached, but not at the address that the user has asked
// about, or not by the name.
func (a *answer) writeAstray(out *bytes.Buffer) {
	names := make([]string, len(a.astray))
	for i, p := range a.astray {
		names[i] = placeName(a.rep, p.Vantage)
	}
	line, color := fmt.Sprintf("%s is reachable, but not by this name from %s", a.rep.Target.Name, list(names)), aec.YellowF
	if a.rep.Target.Address {
		line, color = fmt.Sprintf("%s does not lead to %s from %s", a.astray[0].Typed, a.containerName(), list(names)), aec.RedF
	}
	a.screen.writeHalves(out, line, a.about(), color)
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
		headline = list(names) + " cannot reach " + a.rep.Target.Name
		if !slices.ContainsFunc(b.places, func(p report.Place) bool { return !a.hasAnswer(p) }) {
			headline = list(names) + " gets no expected answer from " + a.rep.Target.Name
			if len(names) > 1 {
				headline = list(names) + " get no expected answer from " + a.rep.Target.Name
			}
		}
	}
	color := aec.RedF
	if b.Severity == report.SeverityWarning {
		color = aec.YellowF
	}
	a.screen.writeHalves(out, headline, cmp.Or(string(b.Cause), "cause not known"), color)
}

// hasAnswer says whether the server itself answered from a place.
func (a *answer) hasAnswer(p report.Place) bool {
	return slices.ContainsFunc(probesFrom(a.rep, p.Vantage), func(row *report.Probe) bool {
		return row.Status != 0 && row.Identity == netprobe.IdentityWitnessed
	})
}

// writeBlock writes what decides the cause, what was tried, and the fix.
func (a *answer) writeBlock(out *bytes.Buffer, b block) {
	if b.Title != "" {
		a.screen.wrap(out, b.Title+".", 0)
	}
	a.writeNetworks(out, b)
	listens := false
	for _, line := range a.screen.withoutRows(a.rep, b.Evidence) {
		if a.saysApart(b, line) {
			continue
		}
		listens = listens || strings.Contains(line, "listen")
		a.screen.wrap(out, line, 2)
	}
	a.writeTried(out, b)
	if t := a.rep.Target; !listens && len(t.Listens) > 0 {
		state := ""
		if t.State != stateRunning && t.State != "" {
			state = " and is " + t.State
		}
		a.screen.wrap(out, fmt.Sprintf("%s listens on %s%s.", a.containerName(), list(t.Listens), state), 0)
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
		a.screen.wrap(out, p.Name+" is on  "+cmp.Or(strings.Join(p.Networks, ", "), "no network"), 2)
	}
	a.screen.wrap(out, a.containerName()+" is on  "+cmp.Or(strings.Join(a.rep.Target.Networks, ", "), "no network"), 2)
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
		a.screen.wrap(out, first+f.Hint, labelWidth)
	}
	first = labelled("Compose:")
	for _, line := range f.Compose {
		fmt.Fprintln(out, first+line)
		first = labelled("")
	}
	if f.Then != "" {
		fmt.Fprintln(out, labelled("Then:")+f.Then)
	}
	if page := a.screen.page(f); page != "" {
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
	if a.screen.width == 0 {
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
	a.screen.wrap(out, strings.Join(more, ". ")+" (--no-trunc shows them)", 2)
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
		blankLine(out)
		fmt.Fprintln(out, part.title)
		for line := range strings.Lines(a.screen.align(rows)) {
			fmt.Fprintln(out, strings.TrimRight(line, " \n"))
		}
	}
	blankLine(out)
	infos := slices.DeleteFunc(slices.Clone(a.rep.Findings), func(f report.Finding) bool { return f.Severity != report.SeverityInfo })
	a.screen.writeFindings(out, a.rep, infos)
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
