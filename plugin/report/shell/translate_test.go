package shell

import (
	"slices"
	"testing"

	"gotest.tools/v3/assert"
)

// On Windows the commands of the agents are for the user's shell too.
func TestTranslate(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"docker network connect NETWORK web":                 "docker network connect NETWORK web",
		"docker run --publish 127.0.0.1::80 ...":             "docker run --publish 127.0.0.1::80 ...",
		"docker run -e NO_PROXY='a b' -e no_proxy='a b' ...": `docker run -e "NO_PROXY=a b" -e "no_proxy=a b" ...`,
		"docker run -e NO_PROXY=a,b ...":                     `docker run -e "NO_PROXY=a,b" ...`,
		`docker logs 'it'"'"'s'`:                             `docker logs "it's"`,
		"docker logs 'a;b&c'":                                `docker logs "a;b&c"`,
		"docker logs '$(x)'":                                 "",
		"docker logs ''":                                     "",
		`sudo chown -R "$(id -u)" /x`:                        "",
		"a && b":                                             "",
		"a; b":                                               "",
		"a 'b":                                               "",
		"":                                                   "",
		"export DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=FOLDER":       `$env:DOCKER_TLS_VERIFY = "1"; $env:DOCKER_CERT_PATH = "FOLDER"`,
		"unset DOCKER_TLS_VERIFY DOCKER_TLS":                       "Remove-Item -ErrorAction Ignore Env:DOCKER_TLS_VERIFY, Env:DOCKER_TLS",
		"docker network create -o com.docker.network.driver.mtu=9": "docker network create -o com.docker.network.driver.mtu=9",
	} {
		assert.Check(t, Windows.Translate(line) == want, "%s: %s", line, Windows.Translate(line))
		assert.Check(t, POSIX.Translate(line) == line)
	}
}

// FuzzSplit reads the words that were written, or none.
func FuzzSplit(f *testing.F) {
	for _, word := range []string{"a", "", "it's", "$(x)", "a b", "\\", "=x", "ü", "\""} {
		f.Add(word, word)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		line := POSIX.Line("docker logs %s NAME=%s", a, b)
		if line == "" {
			return
		}
		words, ok := split(line)
		assert.Assert(t, ok, line)
		assert.Assert(t, slices.Equal(words, []string{"docker", "logs", a, "NAME=" + b}), "%s: %q", line, words)
	})
}
