package engine

import (
	"context"
	"errors"
	"testing"

	"github.com/docker/docker/api/types/container"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// causeOf is the cause of an error; empty if it is no Fault.
func causeOf(err error) report.Cause {
	fault := new(report.Fault)
	errors.As(err, &fault)
	return fault.Cause
}

func TestStartFault(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]report.Cause{
		"driver failed programming external connectivity on endpoint web (0a1b): Bind for 0.0.0.0:8080 failed: port is already allocated": diagnosis.PortInUse,
		"driver failed programming external connectivity on endpoint web (0a1b): all ports are allocated":                                 diagnosis.PortInUse,
		"OCI runtime create failed: exec format error":                                                                                    diagnosis.ImageWrongPlatform,
		"cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), or set CAP_NET_BIND_SERVICE on rootlesskit binary, or choose a larger port number (>= 1024): listen tcp4 0.0.0.0:80: bind: permission denied":    diagnosis.PortReserved,
		"rootlessport cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), or choose a larger port number (>= 1024): listen tcp 0.0.0.0:80: bind: permission denied":                                           diagnosis.PortReserved,
		"pasta failed with exit code 1: Failed to bind port 80 (Permission denied) for option '-t 80-80:8080-8080'":                                                                                                                                                                    diagnosis.PortReserved,
		"Ports are not available: exposing port TCP 0.0.0.0:80 -> 127.0.0.1:0: listen tcp 0.0.0.0:80: bind: permission denied":                                                                                                                                                         diagnosis.PortReserved,
		"Ports are not available: exposing port TCP 0.0.0.0:5000 -> 127.0.0.1:0: listen tcp 0.0.0.0:5000: bind: An attempt was made to access a socket in a way forbidden by its access permissions.":                                                                                  diagnosis.PortReserved,
		"Ports are not available: exposing port TCP 0.0.0.0:5000 -> 127.0.0.1:0: listen tcp 0.0.0.0:5000: bind: Only one usage of each socket address (protocol/network address/port) is normally permitted.":                                                                          diagnosis.PortInUse,
		"driver failed programming external connectivity on endpoint web (0a1b):  (iptables failed: iptables --wait -t nat -A DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 172.17.0.2:80 ! -i docker0: iptables: No chain/target/match by that name.\n (exit status 1))": diagnosis.EngineFirewallBroken,
		"no available IPv4 addresses on this network's address pools: shop_default (0a1b)":                                                                                                                                                                                             diagnosis.AddressPoolsExhausted,
		"OCI runtime create failed: runc create failed: exec: permission denied":                                                                                                                                                                                                       "",
		"no space left on device": "",
	} {
		assert.Check(t, is.Equal(causeOf(StartFault("the server", errors.New(message))), want), message)
	}
}

func TestCreateFault(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]report.Cause{
		"image with reference web was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)": diagnosis.ImageWrongPlatform,
		"image with reference web:1 was found but does not provide the specified platform (linux/arm64)":                        diagnosis.ImageWrongPlatform,
		`the container name "web" is already in use`:                                                                            diagnosis.NameInUse,
		"no such image": "",
	} {
		assert.Check(t, is.Equal(causeOf(CreateFault("the server", errors.New(message))), want), message)
	}
}

// The log of a program for another CPU, of runc and of crun.
func TestWrongFormatLog(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]report.Cause{
		"exec /app: exec format error":                                            diagnosis.ImageWrongPlatform,
		"standard_init_linux.go:228: exec user process caused: exec format error": diagnosis.ImageWrongPlatform,
		"  \"msg\": \"exec container process `/app`: Exec format error\",":        diagnosis.ImageWrongPlatform,
		"worker: could not load a module: exec format error":                      diagnosis.ServerExited,
	} {
		exit := Exit{Code: 1, Lines: []string{"{", line, "}"}}
		assert.Check(t, is.Equal(exit.Fault("web").Cause, want), line)
	}
}

// startCounter is an engine of which only the starts matter.
type startCounter struct {
	API
	started int
}

func (s *startCounter) ContainerStart(context.Context, string, container.StartOptions) error {
	s.started++
	return errors.New("cannot bind tcp port :8080: address already in use")
}

// Podman's answer to an attach may say why the start fails. Then another start would find
// the port of the first one taken.
func TestAttachFault(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]struct {
		cause   report.Cause
		started int
	}{
		"unable to upgrade to tcp, received 500": {diagnosis.PortInUse, 1},
		"the engine does not attach to the container (500): preparing container 1f for attach: crun: open `memory.max` for writing: No such file or directory": {"", 0},
		"the engine does not attach to the container (500): preparing container 1f for attach: cannot expose privileged port 80":                               {diagnosis.PortReserved, 0},
	} {
		api := new(startCounter)
		fault := new(report.Fault)
		errors.As(AttachFault(t.Context(), api, "the server", "1f", errors.New(message)), &fault)
		assert.Check(t, is.Equal(fault.Cause, want.cause), message)
		assert.Check(t, is.Equal(api.started, want.started), message)
	}
}

func TestCreateNetworkFault(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]report.Cause{
		"could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network": diagnosis.AddressPoolsExhausted,
		"all predefined address pools have been fully subnetted":                                                     diagnosis.AddressPoolsExhausted,
		"could not find free subnet from subnet pools":                                                               diagnosis.AddressPoolsExhausted,
		"Failed to Setup IP tables: Unable to enable SKIP DNAT rule:  (iptables failed: iptables --wait -t nat -I DOCKER -i br-0a1b -j RETURN: iptables: No chain/target/match by that name.\n (exit status 1))": diagnosis.EngineFirewallBroken,
		"iptables v1.8.9 (nf_tables): Chain 'DOCKER' does not exist": diagnosis.EngineFirewallBroken,
		"Pool overlaps with other one on this address space":         "",
	} {
		assert.Check(t, is.Equal(causeOf(createFault(errors.New(message))), want), message)
	}
}
