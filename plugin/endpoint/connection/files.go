package connection

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"

	"github.com/docker/docker/client"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/errno"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/process"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// configVariable names docker's configuration folder (docker/cli, cli/config).
const configVariable = "DOCKER_CONFIG"

// PhaseSettings is before any phase of a probe: nothing was dialled.
const PhaseSettings netprobe.Phase = "settings"

// Unusable is the fault of settings from which no client can be made: a bad ssh
// URL, a CA or key that does not parse, a socket path that is too long.
func (s Settings) Unusable(err error) *report.Fault {
	why := sentence.Of(err, "the endpoint %s cannot be used (%s)", s.Host, err)
	return s.withEndpoint(unreachable(why, "correct the endpoint's address or its TLS files"), PhaseSettings)
}

// FilesFault explains an error of reading the files of DOCKER_CERT_PATH or of
// the flags that name one, or returns nil if err is not about a file.
func FilesFault(err error) *report.Fault {
	var file *fs.PathError
	if !errors.As(err, &file) {
		return nil
	}
	fault := &report.Fault{
		Cause:    TLSCertPathMissing,
		Evidence: []string{certPathSource(), "read: " + file.Error()},
		Hint:     "set DOCKER_CERT_PATH to a folder on this machine with ca.pem, cert.pem and key.pem, or unset DOCKER_TLS_VERIFY",
	}
	dir := filepath.Dir(file.Path)
	if dir != CertPath() {
		fault.Hint = "correct the path given with --tlscacert, --tlscert or --tlskey"
	}
	if process.InContainer() {
		fault.Evidence = append(fault.Evidence, "this process runs in a container, which has its own files")
		fault.Evidence = append(fault.Evidence, process.DescribeMount(dir)...)
		fault.Hint = "mount the folder with ca.pem, cert.pem and key.pem, by its path on the engine's host, or unset DOCKER_TLS_VERIFY"
		fault.Commands = []string{shell.Line("docker run -v %s:%s:ro ...", dir, dir)}
	}
	describeUnreadable(fault, err, file, dir)
	if machine := os.Getenv("DOCKER_MACHINE_NAME"); machine != "" {
		fault.Commands = append(fault.Commands, machineCommand(machine))
	}
	return fault
}

// machineCommand sets the variables for a machine of Docker Machine.
func machineCommand(name string) string {
	env := shell.Line("docker-machine env %s", name)
	switch {
	case env == "":
		return ""
	case shell.User() == shell.Windows:
		return env + " --shell powershell | Invoke-Expression"
	default:
		return `eval "$(` + env + `)"`
	}
}

// describeUnreadable says what is wrong with a file.
func describeUnreadable(fault *report.Fault, err error, file *fs.PathError, dir string) {
	_, missing := os.Stat(dir)
	switch {
	case errors.Is(missing, fs.ErrNotExist):
		fault.Evidence = append(fault.Evidence, "no folder: "+dir)
		fault.Err = sentence.Of(err, "the folder of the TLS files, %s, does not exist", dir)
	case errors.Is(file, fs.ErrNotExist):
		fault.Err = sentence.Of(err, "the TLS file %s does not exist", file.Path)
	case errno.Forbidden(file):
		fault.Evidence = append(fault.Evidence, process.DescribeFile(file.Path), process.Identity())
		fault.Commands = nil
		fault.Hint = "let this user read it, or set DOCKER_CERT_PATH to a folder of this user"
		fault.Err = sentence.Of(err, "this user may not read the TLS file %s", file.Path)
	default:
		fault.Err = sentence.Of(err, "the TLS file %s cannot be read", file.Path)
	}
}

// CertPath is the folder where docker looks for TLS files that no flag names.
func CertPath() string {
	if dir := cmp.Or(os.Getenv(client.EnvOverrideCertPath), os.Getenv(configVariable)); dir != "" {
		return filepath.Clean(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		if me, err := user.Current(); err == nil {
			home = me.HomeDir
		}
	}
	return filepath.Join(home, ".docker") // without a home it is in the current folder, as with docker
}

// certPathSource is CertPath with the setting that it comes from.
func certPathSource() string {
	if os.Getenv(client.EnvOverrideCertPath) != "" {
		return client.EnvOverrideCertPath + "=" + CertPath()
	}
	return client.EnvOverrideCertPath + " is not set, so the folder is " + CertPath()
}

// missingClientFiles are the files of the client certificate that do not exist, of
// which docker prints nothing.
func (s Settings) missingClientFiles() []string {
	material := s.use().tls
	if material == nil || material.Folder == "" || material.hasClient() {
		return nil
	}
	var missing []string
	for _, name := range []string{"cert.pem", "key.pem"} {
		path := filepath.Join(material.Folder, name)
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, path)
		}
	}
	return missing
}
