package hosttext

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

// The texts are from reports of users, and what docker 28 makes of each was tried with
// the command.
func TestRead(t *testing.T) {
	t.Parallel()
	const socket = DefaultSocket
	here := Place{GOOS: "linux", Home: "/home/me", Dir: "/srv/app", Exists: func(path string) bool {
		return path == "/var/run/docker.sock" || path == "/srv/app/there/x.sock"
	}}
	windows, stored, empty := Place{GOOS: "windows"}, here, Place{GOOS: "linux"}
	stored.Stored = true
	for written, test := range map[string]struct {
		place Place
		what  string // empty for nothing wrong
		sure  bool
		meant string // in one line
	}{
		"unix:///var/run/docker.sock":               {here, "", false, ""},
		"unix://":                                   {here, "", false, ""},
		"unix:///a b.sock":                          {here, "", false, ""},
		"unix:////var/run/docker.sock":              {here, "", false, ""},
		"tcp://192.0.2.1:2375":                      {here, "", false, ""},
		"tcp://192.0.2.1":                           {here, "", false, ""},
		"tcp://[::1]:2375":                          {here, "", false, ""},
		"tcp://[::1]":                               {here, "", false, ""},
		"tcp://":                                    {here, "", false, ""},
		"tcp://engine:2375/":                        {here, "", false, ""},
		"tcp://me@engine:2375":                      {here, "", false, ""},
		"ssh://me@engine":                           {here, "", false, ""},
		"ssh://me@engine:22/run/docker.sock":        {here, "", false, ""},
		"ssh://me@engine:/run/docker.sock":          {here, "", false, ""},
		"npipe:////./pipe/docker_engine":            {windows, "", false, ""},
		"npipe:////./pipe/dockerDesktopLinuxEngine": {windows, "", false, ""},
		"/var/run/docker.sock":                      {here, "no unix://", true, socket},
		"~/.docker/run/docker.sock":                 {here, "no unix://", true, "unix:///home/me/.docker/run/docker.sock"},
		"./docker.sock":                             {here, "no unix://", true, "unix:///srv/app/docker.sock"},
		"docker.sock":                               {here, "no unix://", true, "unix:///srv/app/docker.sock"},
		"unix:/var/run/docker.sock":                 {here, "no unix:// at its beginning", true, socket},
		"unix:var/run/docker.sock":                  {here, "no unix:// at its beginning", true, socket},
		"unix//var/run/docker.sock":                 {here, "no unix:// at its beginning", true, socket},
		"unix/var/run/docker.sock":                  {here, "no unix:// at its beginning", true, socket},
		"tcp:/engine:2375":                          {here, "no tcp:// at its beginning", true, "tcp://engine:2375"},
		"tcp:engine:2375":                           {here, "no tcp:// at its beginning", true, "tcp://engine:2375"},
		"tcp//engine:2375":                          {here, "no tcp:// at its beginning", true, "tcp://engine:2375"},
		"ssh:me@engine":                             {here, "no ssh:// at its beginning", true, "ssh://me@engine"},
		"tcp:2375":                                  {here, "no scheme", false, ""}, // a host of that name
		"localhost":                                 {here, "no scheme", false, socket},
		"localhost:2375":                            {here, "no scheme", false, ""},
		"engine:2375":                               {here, "no scheme", false, ""},
		"engine:2375/v1.40":                         {here, "no scheme", false, "tcp://engine:2375"},
		"//engine:2375":                             {here, "no scheme", true, "tcp://engine:2375"},
		"me@engine":                                 {here, "no ssh://", true, "ssh://me@engine"},
		"me:secret@engine:/run/docker.sock":         {here, "no ssh://", true, "ssh://me@engine"},
		"tcp://engine:2375/v1.40":                   {here, "the path /v1.40", false, "tcp://engine:2375"},
		"tcp://me:secret@engine:2375/v1.40":         {here, "the path /v1.40", false, "tcp://engine:2375"},
		"tcp:///engine:2375":                        {here, "too many slashes", true, "tcp://engine:2375"},
		"tcp:///var/run/docker.sock":                {here, "tcp:// before the path of a socket", true, socket},
		"tcp://engine:docker":                       {here, "the port docker", true, "tcp://engine:2375 tcp://engine:2376"},
		"tcp://engine:99999":                        {here, "the port 99999", true, "tcp://engine:2375 tcp://engine:2376"},
		"tcp://::1:2375":                            {here, "without brackets", true, "tcp://[::1]:2375 tcp://[::1:2375]:2375"},
		"tcp://2001:db8::1":                         {here, "without brackets", true, "tcp://[2001:db8::1]:2375"},
		"tcp://[::1:2375":                           {here, "no ] after", true, "tcp://[::1]:2375 tcp://[::1:2375]:2375"},
		"tcp://tcp://engine:2375":                   {here, "another scheme after tcp://", true, "tcp://engine:2375"},
		"tcp://unix:///var/run/docker.sock":         {here, "another scheme after tcp://", true, socket},
		"tcp://https://engine":                      {here, "another scheme after tcp://", true, "tcp://engine:2376 tcp://engine:443"},
		"TCP://engine:2375":                         {here, "in capitals", true, "tcp://engine:2375"},
		"tcp:// engine:2375":                        {here, "a space", true, "tcp://engine:2375"},
		"tcp://$ENGINE:2375":                        {here, "holds $ENGINE", true, ""},
		"tcp://<host>:2375":                         {here, "holds <host>", true, ""},
		"tcp://{{ip}}:2375":                         {here, "holds {{ip}}", true, ""},
		"tcp://%HOST%:2375":                         {here, "holds %HOST%", true, ""},
		"unix://$HOME/.colima/docker.sock":          {here, "holds $HOME", true, "unix:///home/me/.colima/docker.sock"},
		`"tcp://engine:2375"`:                       {here, "quotes", true, "tcp://engine:2375"},
		`'/var/run/docker.sock'`:                    {here, "quotes", true, socket},
		"DOCKER_HOST=tcp://engine:2375":             {here, "name of the variable", true, "tcp://engine:2375"},
		"-H unix:///var/run/docker.sock -H tcp://localhost:2376": {here, "the option -H", true, socket},
		"undefined":                                  {here, "no value", true, socket},
		"unix://var/run/docker.sock":                 {here, "a relative path after unix://", true, socket},
		"unix://there/x.sock":                        {here, "", false, ""},
		"unix://localhost/var/run/docker.sock":       {here, "a relative path after unix://", true, socket},
		"unix://~/.docker/run/docker.sock":           {here, "begins with ~", true, "unix:///home/me/.docker/run/docker.sock"},
		"unix:///var/run/docker.sock/":               {here, "after the path of a socket", false, socket},
		"unix:///var/run/docker.sock/v1.40":          {here, "after the path of a socket", false, socket},
		"unix:///run/my.sock:/var/run/docker.sock":   {here, "after the path of a socket", false, "unix:///run/my.sock " + socket},
		"http://engine:2375":                         {here, "begins with http://", true, "tcp://engine:2375"},
		"http://engine/":                             {here, "begins with http://", true, "tcp://engine:2375 tcp://engine:80"},
		"https://engine":                             {here, "begins with https://", true, "tcp://engine:2376 tcp://engine:443"},
		"https://[2001:db8::1]":                      {here, "begins with https://", true, "tcp://[2001:db8::1]:2376 tcp://[2001:db8::1]:443"},
		"ssh://":                                     {here, "no host", true, ""},
		"ssh://me:secret@engine":                     {here, "a password", true, "ssh://me@engine"},
		"ssh://me@engine?a=b":                        {here, "has ?a=b at its end", true, "ssh://me@engine"},
		"ssh://me@engine:~/docker.sock":              {here, `"~" where the port`, true, "ssh://me@engine"},
		"ssh://me@engine:x/docker.sock":              {here, `"x" where the port`, true, "ssh://me@engine"},
		"fd://":                                      {here, "for dockerd", true, socket},
		"file:///var/run/docker.sock":                {here, "the scheme file", true, socket},
		"gopher://engine:70":                         {here, "the scheme gopher", true, "tcp://engine:70"},
		`npipe:\\.\pipe\docker_engine`:               {windows, "named pipe", true, defaultPipe},
		`npipe://\\.\pipe\docker_engine`:             {windows, "named pipe", true, defaultPipe},
		`npipe://./pipe/docker_engine`:               {windows, "named pipe", true, defaultPipe},
		`\\.\pipe\docker_engine`:                     {windows, "named pipe", true, defaultPipe},
		`//./pipe/docker_engine`:                     {windows, "named pipe", true, defaultPipe},
		`npipe:////./pipe/dockerDesktopLinuxEngine `: {here, "named pipe of Windows", true, socket},
		`npipe:////./pipe/docker_engine_linux`:       {empty, "named pipe of Windows", true, ""},
		`C:\ProgramData\docker.sock`:                 {here, "path of Windows", true, socket},
		"unix:///C:/docker.sock":                     {windows, "path of Windows", true, defaultPipe},
		"/run/x/docker.sock":                         {windows, "no unix://", true, defaultPipe},
		"engine.example:2375":                        {stored, "no scheme", true, "tcp://engine.example:2375"},
		"http://engine.example:2375":                 {stored, "begins with http://", false, "tcp://engine.example:2375"},
		"/run/other.sock":                            {stored, "no unix://", true, "unix:///run/other.sock"},
	} {
		t.Run(strings.ReplaceAll(written, "/", "_"), func(t *testing.T) {
			t.Parallel()
			got, wrong := Read(written, test.place)
			assert.Equal(t, wrong, test.what != "", got.What)
			assert.Assert(t, strings.Contains(got.What, test.what), got.What)
			assert.Equal(t, got.Sure, test.sure)
			assert.Equal(t, strings.Join(got.Meant, " "), test.meant)
			for _, meant := range got.Meant { // the way out is not wrong again
				again, wrong := Read(meant, test.place)
				assert.Assert(t, !wrong, "%s %s", meant, again.What)
			}
			assert.Assert(t, !strings.Contains(got.What+strings.Join(got.Meant, " "), "secret"))
		})
	}
}

func TestReadTLS(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]bool{"https://engine": true, `"https://engine"`: true, "http://engine": false} {
		got, _ := Read(written, Place{})
		assert.Equal(t, got.TLS, want, written)
	}
}

func TestRedacted(t *testing.T) {
	t.Parallel()
	for written, want := range map[string]string{
		"ssh://me:secret@engine":       "ssh://me:xxxxx@engine",
		"me:secret@engine:2375":        "me:xxxxx@engine:2375",
		"tcp://engine:2375":            "tcp://engine:2375",
		"tcp://me:se:c@r/et@engine":    "tcp://me:xxxxx@engine",
		"me:se/cret@engine, tried":     "me:xxxxx@engine, tried",
		`set X="tcp://:secret@engine"`: `set X="tcp://:xxxxx@engine"`,
		"unix:///run/me@x/docker.sock": "unix:///run/me@x/docker.sock",
	} {
		assert.Equal(t, Redacted(written), want)
	}
}

// A text from anywhere is read without a panic, and its repair needs no other.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{"tcp://[::1:2375", "unix://~/x", "ssh://a:b@c:d?e#f", `npipe:\\.\pipe\x`, `"'`, "://", "tcp://tcp://tcp://"} {
		f.Add(seed, true)
	}
	f.Fuzz(func(_ *testing.T, written string, stored bool) {
		_, _ = Read(written, Place{Stored: stored, Home: "/h", Dir: "/d"})
	})
}
