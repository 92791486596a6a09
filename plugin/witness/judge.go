package witness

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/facts"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// Connected says whether a probe had a connection, so that a witness can look for it at
// the server.
func Connected(p report.Probe) bool {
	return slices.Contains([]netprobe.Phase{netprobe.PhaseTLS, netprobe.PhaseRequest, netprobe.PhaseAnswer, netprobe.PhaseWebSocket}, p.Phase)
}

// Judge returns the probes of one vantage with who answered, as the witness saw it, and as
// the addresses of names show. A probe is good only if the server itself has the
// connection.
func Judge(probes []report.Probe, server []facts.Network, watched facts.Watched) []report.Probe {
	judged := slices.Clone(probes)
	for i := range judged {
		judge(&judged[i], watched.Of(judged[i].Address).Seen)
		judgeName(&judged[i], server)
	}
	return judged
}

// Foreign returns the addresses to which a container's name leads and which are not the
// server's.
func Foreign(p report.Probe, server []facts.Network) []netip.Addr {
	if p.Kind != report.KindContainerName || len(server) == 0 {
		return nil
	}
	var foreign []netip.Addr
	for _, text := range p.Resolved {
		ip, err := netip.ParseAddr(text)
		if err == nil && !slices.ContainsFunc(server, func(n facts.Network) bool { return n.Has(ip) }) {
			foreign = append(foreign, ip)
		}
	}
	return foreign
}

// judgeName judges a name that leads to addresses which are not the server's. Who answers
// is then a matter of chance.
func judgeName(p *report.Probe, server []facts.Network) {
	foreign := Foreign(*p, server)
	if len(foreign) == 0 || !p.OK && p.Phase != netprobe.PhaseAnswer && p.Failure != netprobe.Silent {
		return
	}
	detail := fmt.Sprintf("the name leads to %s, which is not this server's address", foreign[0])
	if len(foreign) < len(p.Resolved) {
		detail = fmt.Sprintf("the name leads to this server and to %s, which is not its address: who answers is a matter of chance", foreign[0])
	}
	blameOther(p, detail)
}

// Distrust changes the answers that nobody has proven and that are in doubt, for a reason:
// another server gave them.
func Distrust(probes []report.Probe, inDoubt func(report.Probe) bool, reason string) {
	for i := range probes {
		if p := &probes[i]; p.OK && p.Identity == netprobe.IdentityUnverified && inDoubt(*p) {
			blameOther(p, reason)
		}
	}
}

// blameOther makes a probe one that another server answered.
func blameOther(p *report.Probe, detail string) {
	p.OK, p.Failure, p.Identity, p.Detail = false, netprobe.WrongServer, netprobe.IdentityMismatch, detail
}

func judge(p *report.Probe, seen facts.Seen) {
	switch {
	case p.Identity == netprobe.IdentityVerified, !Connected(*p):
	case seen == facts.SeenNothing:
		judgeUnseen(p)
	case seen == facts.SeenUnanswered && p.Failure == netprobe.Silent:
		p.Identity, p.Detail = netprobe.IdentityMismatch, "connection accepted, but the server's answers do not come back to who accepted it"
	case seen == facts.SeenUnknown && p.Failure == netprobe.Silent:
		p.Detail = "connection accepted, but it is not known whether it arrives at the server"
	case seen == facts.SeenAmongOthers && p.Failure == netprobe.Silent:
		p.OK, p.Failure = true, ""
		p.Detail = "connection accepted, but it is not known whether by this server"
	case seen.Arrived():
		p.Identity = netprobe.IdentityWitnessed
		if p.Failure == netprobe.Silent {
			p.OK, p.Failure, p.Detail = judgeSilent(seen)
		}
	}
}

// judgeUnseen judges a connection that did not arrive at the server.
func judgeUnseen(p *report.Probe) {
	switch {
	case p.Phase == netprobe.PhaseAnswer, p.OK:
		blameOther(p, "another server answered: the connection did not arrive at this one")
	case p.Failure == netprobe.Silent:
		p.Identity, p.Detail = netprobe.IdentityMismatch, "connection accepted, but it did not arrive at the server"
	}
}

// judgeSilent judges a connection over which neither side sent anything.
func judgeSilent(seen facts.Seen) (ok bool, failure netprobe.Failure, detail string) {
	switch seen {
	case facts.SeenAccepted:
		return true, "", "connection accepted by the server's process"
	case facts.SeenDeferred:
		return true, "", "connection arrived at the server, which accepts it when the client sends something"
	case facts.SeenWaiting:
		return false, netprobe.Silent, "connection established, but the server's process does not accept it"
	default:
		return false, netprobe.ClosedWithoutResponse, "connection accepted by the server, then closed without a response"
	}
}
