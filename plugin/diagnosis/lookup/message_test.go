package lookup

import (
	"slices"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// What people paste, and the cause that they should read first. Most lines were printed
// by the tools for faults that were made for it.
var pasted = []struct {
	text string
	want report.Cause
}{
	// accepted, then closed
	{`curl: (52) Empty reply from server`, "forwarder-accepts-alone"},
	{`* Empty reply from server`, "forwarder-accepts-alone"},
	{`requests.exceptions.ConnectionError: ('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))`, "forwarder-accepts-alone"},
	{`2026-11-28T15:36:08.123Z [api] Error: socket hang up
    at connResetException (node:internal/errors:787:14)
    at Socket.socketOnEnd (node:_http_client:519:23) {
  code: 'ECONNRESET'
}`, "forwarder-accepts-alone"},
	{"TypeError: fetch failed\n    at node:internal/deps/undici/undici:13502:13\n  [cause]: SocketError: other side closed", "forwarder-accepts-alone"},
	{`panic: Get "http://localhost:32768/healthz": EOF`, "forwarder-accepts-alone"},
	{`Caused by: java.net.SocketException: Unexpected end of file from server`, "forwarder-accepts-alone"},
	{`aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected`, "forwarder-accepts-alone"},
	{`This page isn't working. localhost didn't send any data. ERR_EMPTY_RESPONSE`, "forwarder-accepts-alone"},
	{`psql: error: connection to server at "127.0.0.1", port 5432 failed: server closed the connection unexpectedly`, "forwarder-accepts-alone"},

	// refused
	{`curl: (7) Failed to connect to localhost port 8080 after 0 ms: Couldn't connect to server`, "localhost-is-this-container"},
	{`curl: (7) Failed to connect to localhost port 8080: Connection refused`, "localhost-is-this-container"},
	{`[12:01:33] Error: connect ECONNREFUSED 127.0.0.1:5432`, "localhost-is-this-container"},
	{`time="2026-11-28T15:36:08Z" level=fatal msg="ping: dial tcp 127.0.0.1:6379: connect: connection refused"`, "localhost-is-this-container"},
	{`redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.`, "localhost-is-this-container"},
	{`org.postgresql.util.PSQLException: Connection to localhost:5432 refused. Check that the hostname and port are correct`, "localhost-is-this-container"},
	{"Traceback (most recent call last):\n  File \"/app/main.py\", line 12, in <module>\n    r = requests.get(url)\nrequests.exceptions.ConnectionError: HTTPConnectionPool(host='web', port=8000): Max retries exceeded with url: / (Caused by NewConnectionError('<urllib3.connection.HTTPConnection object at 0x7f4edf5c7090>: Failed to establish a new connection: [Errno 111] Connection refused'))", "localhost-is-this-container"},
	{`connect ECONNREFUSED ::1:3000`, "published-family-mismatch"},
	{`ECONNREFUSED`, "server-not-ready"}, // all that is known of it
	{`Get "http://localhost:32769/": dial tcp [::1]:32769: connect: connection refused`, "published-family-mismatch"},
	{`curl: (7) Failed to connect to host.docker.internal port 8080 after 3 ms: Couldn't connect to server`, "host-alias-unreachable"},
	{`psycopg2.OperationalError: FATAL:  the database system is starting up`, "server-not-ready"},

	// the endpoint
	{`Failed to initialize: unable to resolve docker endpoint: invalid bind address format: http://127.0.0.1:2375`, "endpoint-malformed"},
	{`Failed to initialize: unable to resolve docker endpoint: parse "tcp://C:\\x\\docker.sock": invalid port ":\\x\\docker.sock" after host`, "endpoint-malformed"},
	{`error during connect: Get "http://unix:2375/var/run/docker.sock/v1.50/version": dial tcp: lookup unix on 10.0.0.53:53: no such host`, "endpoint-malformed"},
	{`Cannot connect to the Docker daemon at tcp://localhost:2375/var/run/docker.sock. Is the docker daemon running?`, "endpoint-malformed"},
	{`docker.errors.DockerException: Invalid bind address format: port is required: tcp://localhost`, "endpoint-malformed"},
	{"unable to parse docker host `engine:2375`", "endpoint-malformed"},
	{`Failed to initialize: ssh host connection is not valid: invalid SSH URL: plain-text password is not supported`, "endpoint-malformed"},
	{`unable to resolve docker endpoint: context "nosuch": context not found: open /home/me/.docker/contexts/meta/9e62f93e/meta.json: no such file or directory`, "context-broken"},
	{`context "nosuch": context not found: open /home/me/.docker/contexts/meta/9e62f93e/meta.json: no such file or directory`, "context-broken"},
	{`Current context "nosuch" is not found on the file system, please check your config file at /home/me/.docker/config.json`, "context-broken"},
	{`failed to read metadata: parsing /home/me/.docker/contexts/meta/1df50324/meta.json: unexpected end of JSON input`, "context-broken"},
	{`error during connect: Get "https://192.0.2.1:2376/v1.50/version": remote error: tls: expired certificate`, "clock-skew"},

	// no answer, no route
	{`Get "http://172.18.0.2:8080/": dial tcp 172.18.0.2:8080: i/o timeout`, "networks-isolated"},
	{`Post "http://172.17.0.1:8080/v1": dial tcp 172.17.0.1:8080: i/o timeout (Client.Timeout exceeded)`, "firewall-drops"},
	{`requests.exceptions.ReadTimeout: HTTPConnectionPool(host='localhost', port=9009): Read timed out. (read timeout=5)`, "server-silent"},
	{`curl: (28) Operation timed out after 3001 milliseconds with 3 out of 100000 bytes received`, "mtu-blackhole"},
	{`error: net/http: TLS handshake timeout`, "mtu-blackhole"},
	{`OSError: [Errno 101] Network is unreachable`, "network-none"},

	{`Error: connect ETIMEDOUT 172.19.0.3:5432`, "networks-isolated"},
	{`Caused by: java.net.SocketTimeoutException: Connect timed out`, "networks-isolated"},

	// names
	{`curl: (6) Could not resolve host: db`, "default-bridge-has-no-dns"},
	{`dial tcp: lookup db on 127.0.0.11:53: no such host`, "default-bridge-has-no-dns"},
	{`Error: getaddrinfo EAI_AGAIN postgres`, "default-bridge-has-no-dns"},
	{`socket.gaierror: [Errno -3] Temporary failure in name resolution`, "default-bridge-has-no-dns"},
	{`wget: bad address 'web:8080'`, "default-bridge-has-no-dns"},
	{`nginx: [emerg] host not found in upstream "app:8000" in /etc/nginx/conf.d/default.conf:3`, "default-bridge-has-no-dns"},
	{`curl: (6) Could not resolve host: host.docker.internal`, "host-alias-missing"},
	{`Get "http://host.docker.internal:8080/": dial tcp: lookup host.docker.internal on 8.8.8.8:53: no such host`, "host-alias-missing"},
	{`Error: getaddrinfo ENOTFOUND host.docker.internal`, "host-alias-missing"},
	{`docker: Error response from daemon: unable to derive the IP value for host-gateway.`, "host-alias-unreachable"},

	// what the server speaks
	{`curl: (1) Received HTTP/0.9 when not allowed`, "not-http"},
	{`requests.exceptions.ConnectionError: ('Connection aborted.', BadStatusLine('SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n'))`, "not-http"},
	{`Get "http://localhost:9004/": net/http: HTTP/1.x transport connection broken: malformed HTTP status code "Debian-2"`, "not-http"},
	{`Error: Parse Error: Expected HTTP/, RTSP/ or ICE/  code: 'HPE_INVALID_CONSTANT'`, "not-http"},
	{`curl: (35) OpenSSL/3.0.19: error:0A00010B:SSL routines::wrong version number`, "tls-on-plain-port"},
	{`Get "https://localhost:8443/": http: server gave HTTP response to HTTPS client`, "tls-on-plain-port"},
	{`javax.net.ssl.SSLException: Unsupported or unrecognized SSL message`, "tls-on-plain-port"},
	{`x509: certificate signed by unknown authority`, "tls-untrusted"},
	{`requests.exceptions.SSLError: HTTPSConnectionPool(host='localhost', port=9006): Max retries exceeded with url: / (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate (_ssl.c:992)')))`, "tls-untrusted"},
	{`sun.security.validator.ValidatorException: PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target`, "tls-untrusted"},
	{`tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-28T15:36:08Z is after 2026-11-27T15:35:28Z`, "tls-expired"},
	{`tls: failed to verify certificate: x509: certificate is valid for other.example.com, not localhost`, "tls-hostname-mismatch"},
	{`x509: cannot validate certificate for 127.0.0.1 because it doesn't contain any IP SANs`, "tls-hostname-mismatch"},
	{`websockets.exceptions.InvalidStatusCode: server rejected WebSocket connection: HTTP 200`, "websocket-refused"},
	{`WebSocket connection to 'ws://localhost:8080/ws' failed: Error during WebSocket handshake: Unexpected response code: 404`, "websocket-refused"},
	{`requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: http://localhost:9010/`, "unexpected-status"},
	{`SyntaxError: Unexpected token '<', "<!DOCTYPE "... is not valid JSON`, "unexpected-body"},
	{`curl: (56) CONNECT tunnel failed, response 503`, "http-proxy-interferes"},
	{`requests.exceptions.ProxyError: HTTPSConnectionPool(host='172.17.0.2', port=443): Max retries exceeded with url: / (Caused by ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 502 Bad Gateway')))`, "http-proxy-interferes"},

	// the engine
	{`Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?`, "docker-socket-missing"},
	{`failed to connect to the docker API at unix:///Users/me/.docker/run/docker.sock; check if the path is correct and if the daemon is running: dial unix /Users/me/.docker/run/docker.sock: connect: no such file or directory`, "docker-socket-missing"},
	{`docker.errors.DockerException: Error while fetching server API version: ('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))`, "docker-socket-missing"},
	{"The command 'docker' could not be found in this WSL 2 distro.\nWe recommend to activate the WSL integration in Docker Desktop settings.", "docker-socket-missing"},
	{`permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/containers/json": dial unix /var/run/docker.sock: connect: permission denied`, "docker-socket-permission"},
	{`Error: connect EACCES /var/run/docker.sock`, "docker-socket-permission"},
	{`Cannot connect to the Docker daemon at tcp://192.0.2.10:2376. Is the docker daemon running?`, "engine-unreachable"},
	{`Cannot connect to the Docker daemon at tcp://localhost:2375. Is the docker daemon running?`, "in-container-endpoint-is-loopback"},
	{"docker.errors.DockerException: Error while fetching server API version: HTTPConnectionPool(host='localhost', port=2375): Max retries exceeded with url: /version", "in-container-endpoint-is-loopback"},
	{`error during connect: Get "http://docker.example.com/v1.50/containers/json": command [ssh -o ConnectTimeout=30 -T -- far docker system dial-stdio] has exited with exit status 255, make sure the URL is valid, and Docker 18.09 or later is installed on the remote host`, "engine-unreachable"},
	{`Error response from daemon: client version 1.32 is too old. Minimum supported API version is 1.44, please upgrade your client to a newer version`, "api-version-unsupported"},
	{`Error response from daemon: Client sent an HTTP request to an HTTPS server.`, "tls-required"},
	{`error during connect: Get "https://localhost:2375/v1.50/containers/json": http: server gave HTTP response to HTTPS client`, "tls-not-expected"},
	{`unable to resolve docker endpoint: open /root/.docker/machine/machines/default/ca.pem: no such file or directory`, "tls-cert-path-missing"},
	{`error during connect: Get "https://192.0.2.10:2376/v1.50/version": remote error: tls: certificate required`, "tls-client-cert-rejected"},

	// containers and images
	{`docker: Error response from daemon: driver failed programming external connectivity on endpoint web (0a1b): Bind for 0.0.0.0:8080 failed: port is already allocated.`, "port-in-use"},
	{`Error response from daemon: Ports are not available: exposing port TCP 0.0.0.0:80 -> 0.0.0.0:0: listen tcp 0.0.0.0:80: bind: Only one usage of each socket address (protocol/network address/port) is normally permitted.`, "port-in-use"},
	{`Error response from daemon: Ports are not available: exposing port TCP 0.0.0.0:5000 -> 127.0.0.1:0: listen tcp 0.0.0.0:5000: bind: An attempt was made to access a socket in a way forbidden by its access permissions.`, "port-reserved"},
	{`Error: rootlessport cannot expose privileged port 80, you can add 'net.ipv4.ip_unprivileged_port_start=80' to /etc/sysctl.conf (currently 1024), or choose a larger port number (>= 1024): listen tcp 0.0.0.0:80: bind: permission denied`, "port-reserved"},
	{`ERROR: could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network`, "address-pools-exhausted"},
	{`failed to create network shop_default: Error response from daemon: all predefined address pools have been fully subnetted`, "address-pools-exhausted"},
	{`Error response from daemon: driver failed programming external connectivity on endpoint web (0a1b):  (iptables failed: iptables --wait -t nat -A DOCKER -p tcp -d 0/0 --dport 8080 -j DNAT --to-destination 172.17.0.2:80 ! -i docker0: iptables: No chain/target/match by that name. (exit status 1))`, "engine-firewall-broken"},
	{`Error response from daemon: Failed to Setup IP tables: Unable to enable SKIP DNAT rule:  (iptables failed: iptables --wait -t nat -I DOCKER -i br-0a1b -j RETURN: iptables: No chain/target/match by that name.`, "engine-firewall-broken"},
	{`docker: Error response from daemon: Conflict. The container name "/web" is already in use by container "bc790230c54c". You have to remove (or rename) that container to be able to reuse that name.`, "name-in-use"},
	{`Error response from daemon: pull access denied for nosuch/image, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`, "image-unavailable"},
	{`Error response from daemon: Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 192.168.1.1:53: no such host`, "image-unavailable"},
	{`toomanyrequests: You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit`, "image-unavailable"},
	{`web-1  | exec /usr/local/bin/docker-entrypoint.sh: exec format error`, "image-wrong-platform"},
	{`WARNING: The requested image's platform (linux/amd64) does not match the detected host platform (linux/arm64/v8) and no specific platform was requested`, "image-wrong-platform"},
	{`Error response from daemon: invalid mount config for type "bind": bind source path does not exist: /run/user/1000/docker.sock`, "socket-path-not-on-engine"},
	{`Error response from daemon: Pool overlaps with other one on this address space`, "subnet-overlaps-route"},
	{`WARNING: Published ports are discarded when using host network mode`, "network-host-mode"},
	{`web-1 exited with code 137`, "server-exited"},

	// other ways to write, and parts
	{`EMPTY   REPLY from   Server!!`, "forwarder-accepts-alone"},
	{`enotfound host.docker.internal`, "host-alias-missing"},
	{`ECONNREFUSED ::1`, "published-family-mismatch"},
	{`Couldn’t resolve the proxy? "curl: (5) Could not resolve proxy: squid"`, "http-proxy-interferes"},
	{`certificate has expired`, "tls-expired"},
	{`exec format error`, "image-wrong-platform"},
	{`port is already allocated`, "port-in-use"},
	{`docker: Error response from daemon: driver failed programming external connectivity on endpoint web (0a1b): all ports are allocated.`, "port-in-use"},
}

func TestWithMessage(t *testing.T) {
	index := newMessageIndex()
	for _, test := range pasted {
		matches := index.find(test.text)
		if assert.Check(t, len(matches) > 0, test.text) {
			assert.Check(t, matches[0].Cause == test.want, "%s\n%v", test.text, matches)
		}
	}
}

// Words that many messages have, and texts about other things, match nothing.
func TestWithMessageNoMatch(t *testing.T) {
	index := newMessageIndex()
	for _, text := range []string{
		"", "...", "8080", "127.0.0.1:8080", "connection", "error", "failed to", "the container",
		"Error: something went wrong", "it does not work",
		"npm ERR! missing script: build",
		"Segmentation fault (core dumped)",
		"fatal: not a git repository (or any of the parent directories): .git",
		"ModuleNotFoundError: No module named 'flask'",
		`{"level":"info","ts":"2026-11-28T15:36:08Z","msg":"server started","port":8080}`,
		"tls-expird", "nonsense",
	} {
		matches := index.find(text)
		assert.Check(t, len(matches) == 0, "%q: %v", text, matches)
	}
}

// Each message leads to the causes that list it, in whatever it is wrapped.
func TestEachMessageIsFound(t *testing.T) {
	index := newMessageIndex()
	for _, m := range index.messages {
		text := "2026-11-28 15:36:08 app[7]: " + strings.ReplaceAll(m.text, "...", "192.0.2.7:1234") + "\n    at main.go:17"
		matches := index.find(text)
		found := slices.ContainsFunc(matches, func(match Match) bool { return match.Cause == m.cause })
		assert.Check(t, found, "%s: %q leads to %v", m.cause, m.text, matches)
	}
}

func TestEachCauseHasMessages(t *testing.T) {
	for _, c := range diagnosis.Causes() {
		messages := messagesOf(diagnosis.Explanation(c))
		assert.Check(t, len(messages) > 0, "%s: no error message", c)
		assert.Check(t, len(slices.Compact(slices.Sorted(slices.Values(messages)))) == len(messages), "%s: a message twice", c)
	}
}

// A log of many lines is as good as the line that counts.
func TestWithMessageInALog(t *testing.T) {
	noise := strings.Repeat("2026-11-28T15:36:08Z INFO connection to the server accepted, request 17 took 3 ms\n", 500)
	matches := WithMessage(noise + "curl: (52) Empty reply from server\n" + noise)
	assert.Assert(t, len(matches) > 0)
	assert.Equal(t, matches[0], Match{"forwarder-accepts-alone", "curl: (52) Empty reply from server"})
}
