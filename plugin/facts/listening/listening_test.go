package listening

import (
	"encoding/json"
	"net/netip"
	"testing"

	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// on makes a socket of "ADDRESS:PORT".
func on(address string) Socket {
	s := Socket{Address: netip.MustParseAddrPort(address)}
	if s.Address.Addr() == netip.IPv6Unspecified() {
		s.DualStack = DualStackYes
	}
	return s
}

func with(s Socket, change func(*Socket)) Socket { change(&s); return s }

func v6Only(s *Socket)  { s.DualStack = DualStackNo }
func unknown(s *Socket) { s.DualStack = DualStackUnknown }
func onLo(s *Socket)    { s.Interface = loopbackInterface }
func onEth(s *Socket)   { s.Interface = 2 }

func TestListeners(t *testing.T) {
	t.Parallel()
	const port = 8080
	for name, test := range map[string]struct {
		sockets      []Socket
		truncated    bool
		on           []string
		onlyLoopback bool
		elsewhere    []string
	}{
		"nothing":              {},
		"loopback":             {sockets: []Socket{on("127.0.0.1:8080")}, on: []string{"127.0.0.1"}, onlyLoopback: true},
		"another loopback":     {sockets: []Socket{on("127.9.9.9:8080")}, on: []string{"127.9.9.9"}, onlyLoopback: true},
		"loopback of IPv6":     {sockets: []Socket{on("[::1]:8080")}, on: []string{"::1"}, onlyLoopback: true},
		"both loopbacks":       {sockets: []Socket{on("[::1]:8080"), on("127.0.0.1:8080")}, on: []string{"127.0.0.1", "::1"}, onlyLoopback: true},
		"only through lo":      {sockets: []Socket{with(on("0.0.0.0:8080"), onLo)}, on: []string{"0.0.0.0"}, onlyLoopback: true},
		"only through eth0":    {sockets: []Socket{with(on("0.0.0.0:8080"), onEth)}, on: []string{"0.0.0.0"}},
		"any":                  {sockets: []Socket{on("0.0.0.0:8080")}, on: []string{"0.0.0.0"}},
		"any of both families": {sockets: []Socket{on("[::]:8080")}, on: []string{"::"}},
		"one address":          {sockets: []Socket{on("172.17.0.2:8080")}, on: []string{"172.17.0.2"}},
		"loopback and another": {sockets: []Socket{on("127.0.0.1:8080"), on("172.17.0.2:8080")}, on: []string{"127.0.0.1", "172.17.0.2"}},
		"loopback, truncated":  {sockets: []Socket{on("127.0.0.1:8080")}, truncated: true, on: []string{"127.0.0.1"}},
		"two sockets on an address": {
			sockets: []Socket{with(on("0.0.0.0:8080"), onEth), with(on("0.0.0.0:8080"), onLo)},
			on:      []string{"0.0.0.0"},
		},
		"another port": {sockets: []Socket{on("0.0.0.0:3000")}, elsewhere: []string{"0.0.0.0:3000"}},
		"another port on loopback": {
			sockets: []Socket{on("127.0.0.1:3000"), on("[::1]:3000"), with(on("0.0.0.0:3000"), onLo)},
		},
		"many": {
			sockets: []Socket{
				on("[::]:9000"), on("0.0.0.0:9000"), on("0.0.0.0:80"), on("127.0.0.1:70"), on("127.0.0.1:8080"),
				with(on("0.0.0.0:80"), onEth),
			},
			on: []string{"127.0.0.1"}, onlyLoopback: true,
			elsewhere: []string{"0.0.0.0:80", "0.0.0.0:9000", "[::]:9000"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := Listeners{Sockets: test.sockets, Truncated: test.truncated}
			assert.Check(t, is.DeepEqual(texts(l.On(port)), test.on))
			assert.Check(t, is.Equal(l.OnlyLoopback(port), test.onlyLoopback))
			assert.Check(t, is.DeepEqual(texts(l.Elsewhere(port)), test.elsewhere))
		})
	}
}

func texts[A interface{ String() string }](addresses []A) []string {
	var all []string
	for _, a := range addresses {
		all = append(all, a.String())
	}
	return all
}

func TestServes(t *testing.T) {
	t.Parallel()
	addresses := []string{"127.0.0.1:80", "172.17.0.2:80", "[::1]:80", "[fd00::2]:80"}
	for name, test := range map[string]struct {
		socket Socket
		serves []string
	}{
		"any of IPv4":          {on("0.0.0.0:80"), []string{"127.0.0.1:80", "172.17.0.2:80"}},
		"any of both":          {on("[::]:80"), addresses},
		"any of IPv6, unknown": {with(on("[::]:80"), unknown), addresses},
		"any of IPv6":          {with(on("[::]:80"), v6Only), []string{"[::1]:80", "[fd00::2]:80"}},
		"loopback":             {on("127.0.0.1:80"), []string{"127.0.0.1:80"}},
		"one address":          {on("[fd00::2]:80"), []string{"[fd00::2]:80"}},
		"only through lo":      {with(on("[::]:80"), onLo), []string{"127.0.0.1:80", "[::1]:80"}},
		"only through eth0":    {with(on("172.17.0.2:80"), onEth), []string{"172.17.0.2:80"}},
		"another port":         {on("0.0.0.0:81"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := Listeners{Sockets: []Socket{test.socket}}
			var served []string
			for _, address := range addresses {
				if l.Serves(netip.MustParseAddrPort(address)) {
					served = append(served, address)
				}
			}
			assert.Check(t, is.DeepEqual(served, test.serves))
		})
	}
	l := Listeners{Sockets: []Socket{on("172.17.0.2:80"), on("[fe80::2]:80")}}
	assert.Check(t, l.Serves(netip.MustParseAddrPort("[::ffff:172.17.0.2]:80")))
	assert.Check(t, l.Serves(netip.MustParseAddrPort("[fe80::2%eth0]:80")))
}

func TestListenersAsJSON(t *testing.T) {
	t.Parallel()
	l := Listeners{Sockets: []Socket{on("127.0.0.1:80"), with(on("[::]:80"), onLo)}, Truncated: true}
	data, err := json.Marshal(l)
	assert.NilError(t, err)
	assert.Equal(t, string(data), `{"sockets":[{"address":"127.0.0.1:80"},`+
		`{"address":"[::]:80","dualStack":"yes","interface":1}],"truncated":true}`)
	var back Listeners
	assert.NilError(t, json.Unmarshal(data, &back))
	assert.Check(t, is.Equal(len(back.Sockets), 2))
	assert.Check(t, is.Equal(back.Sockets[1], l.Sockets[1]))
}
