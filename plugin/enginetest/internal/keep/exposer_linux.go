package keep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// The exposer takes the place of docker-proxy where gvproxy has the machine's
// side: it listens inside, for other containers, and has gvproxy listen on the
// machine for as long as it runs. gvproxy then sends packets to the published port,
// which the engine's own rules pass on.

// roleExposer is the role of a process that dockerd starts. Before dockerd's
// arguments it has two more: the address of gvproxy's API, and the engine's address
// in its network.
const roleExposer = "exposer"

// gvproxyWait bounds an order to gvproxy, which has only to listen.
const gvproxyWait = 5 * time.Second

// exposure is a request to gvproxy, in the names of its API.
type exposure struct {
	Local    string `json:"local"`
	Remote   string `json:"remote,omitempty"`
	Protocol string `json:"protocol"`
}

// exposer listens, here and on the machine.
type exposer struct {
	forwarding
	api      string
	listener net.Listener
}

// runExposer is the exposer's main function. dockerd ends it with an interrupt,
// and the kernel with a SIGTERM when dockerd is gone.
func runExposer(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status := os.NewFile(statusFD, "status")
	e, err := openExposer(ctx, args)
	if err != nil {
		_, _ = fmt.Fprintf(status, "1\n%s", err)
		return errors.Join(err, status.Close())
	}
	defer context.AfterFunc(ctx, func() { _ = e.listener.Close() })()
	_, err = io.WriteString(status, "0\n")
	err = errors.Join(err, status.Close(), ignoreEnd(ctx, e.serve(e.listener)))
	hidden := exposure{Local: e.onMachine().String(), Protocol: e.proto}
	return errors.Join(err, order(context.WithoutCancel(ctx), e.api, "unexpose", hidden))
}

func openExposer(ctx context.Context, args []string) (exposer, error) {
	if len(args) < 2 {
		return exposer{}, errors.New("only dockerd starts an exposer")
	}
	engine, err := netip.ParseAddr(args[1])
	if err != nil {
		return exposer{}, err
	}
	f, err := parseForwarding(args[2:])
	if err != nil {
		return exposer{}, err
	}
	listener, err := f.listenInside()
	if err != nil {
		return exposer{}, err
	}
	exposed := exposure{
		Local:    f.onMachine().String(),
		Remote:   netip.AddrPortFrom(engine, f.host.Port()).String(), // its network has only IPv4
		Protocol: f.proto,
	}
	if err := order(ctx, args[0], "expose", exposed); err != nil {
		return exposer{}, errors.Join(err, listener.Close())
	}
	return exposer{f, args[0], listener}, nil
}

// order has gvproxy begin or end listening.
func order(ctx context.Context, api, verb string, what exposure) error {
	ctx, cancel := context.WithTimeout(ctx, gvproxyWait)
	defer cancel()
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	url := "http://" + api + "/services/forwarder/" + verb
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body)) //nolint:gosec // the keeper's own address
	if err != nil {
		return err
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("requesting gvproxy to %s %s: %w", verb, what.Local, err)
	}
	defer response.Body.Close() //nolint:errcheck // read only
	if response.StatusCode != http.StatusOK {
		reason, _ := io.ReadAll(io.LimitReader(response.Body, tailBytes))
		return fmt.Errorf("requesting gvproxy to %s %s: %s", verb, what.Local, bytes.TrimSpace(reason))
	}
	return nil
}
