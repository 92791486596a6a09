package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/context/docker"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/connection"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/process"
	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/shell"
)

// damaged is for a context whose files cannot be used.
func (c choice) damaged(err error) *report.Fault {
	stored := c.cli.ContextStore().GetStorageInfo(c.name)
	if metadata, readErr := c.cli.ContextStore().GetMetadata(c.name); readErr == nil && metadata.Endpoints[docker.DockerEndpoint] == nil {
		return &report.Fault{
			Cause:    connection.ContextBroken,
			Evidence: []string{"reading it: " + err.Error()},
			Hint:     "use another context, or give this one an endpoint of Docker",
			Commands: []string{shell.Line("docker context update %s --docker host=HOST", c.name)},
			Err:      sentence.Of(err, "the context %q has no endpoint of Docker", c.name),
		}
	}
	fault := &report.Fault{
		Cause:    connection.ContextBroken,
		Evidence: []string{"reading it: " + err.Error(), process.DescribeFile(filepath.Join(stored.MetadataPath, metadataFile))},
		Hint:     "remove the damaged file and create the context again",
		Commands: []string{shell.Line("rm -r %s", stored.MetadataPath), c.createCommand()},
		Err:      sentence.Of(err, "the context %q cannot be used, its files are damaged", c.name),
	}
	if errors.Is(err, fs.ErrPermission) {
		forbidden(fault, err, fmt.Sprintf("context %q", c.name))
	}
	return fault
}

// createCommand creates the context again, with its TLS files, which are still there, and
// with its host if the damaged file shows it.
func (c choice) createCommand() string {
	stored := c.cli.ContextStore().GetStorageInfo(c.name)
	host := "HOST"
	data, err := os.ReadFile(filepath.Join(stored.MetadataPath, metadataFile))
	if found := hostField.FindSubmatch(data); err == nil && found != nil {
		host = string(found[1])
	}
	from := origin{context: c.name, tlsFiles: filepath.Join(stored.TLSPath, docker.DockerEndpoint)}
	return shell.Line("docker context create %s --docker %s", c.name, from.contextHost(host, sameTLS))
}

// hostField matches the host in a damaged file.
var hostField = regexp.MustCompile(`"Host":\s*"((?:unix|npipe|tcp|ssh)://[^"\\]+)"`)

// forbidden is for files of contexts that this user may not read, as docker leaves them
// after it has run with sudo.
func forbidden(fault *report.Fault, err error, what string) {
	if file := new(fs.PathError); errors.As(err, &file) {
		fault.Evidence = append(fault.Evidence, process.DescribeFile(file.Path))
	}
	fault.Evidence = append(fault.Evidence, process.Identity())
	fault.Hint = "give the files to this user"
	fault.Commands = []string{shell.Line(`sudo chown -R "$(id -u):$(id -g)" %s`, config.ContextStoreDir())}
	fault.Err = sentence.Of(err, "this user may not read the files of %s", what)
}

// unreadable is a context whose name is not known, since its file is damaged.
func unreadable(path string, err error) Context {
	folder := path
	if filepath.Base(path) == metadataFile {
		folder = filepath.Dir(path)
	}
	name := filepath.Base(folder)
	name = name[:min(len(name), 12)] // as docker shortens digests
	if err == nil {
		err = errors.New("it holds no name")
	}
	fault := &report.Fault{
		Cause:    connection.ContextBroken,
		Evidence: []string{"reading it: " + err.Error(), process.DescribeFile(path), "phase reached: " + string(connection.PhaseSettings)},
		Hint:     "remove its folder, since docker lists no context as long as it is there",
		Commands: []string{shell.Line("rm -r %s", folder)},
		Err:      sentence.Of(err, "a context in %s cannot be used, its file is damaged", folder),
	}
	if errors.Is(err, fs.ErrPermission) {
		forbidden(fault, err, "a context in "+folder)
	}
	return Context{Name: name, Fault: fault}
}

// brokenFiles explains a fault of TLS by files that a context lacks or has damaged.
func (r reviewer) brokenFiles(_ context.Context, fault *report.Fault) *report.Fault {
	what := r.damage()
	if what == "" || !slices.Contains(fromFiles, fault.Cause) {
		return nil
	}
	if beforeTLS(fault) {
		fault.Evidence = append(fault.Evidence, "TLS files of the context: "+what)
		return nil
	}
	return &report.Fault{
		Cause:    connection.ContextBroken,
		Evidence: append([]string{"TLS files of the context: " + r.tlsFiles, what}, fault.Evidence...),
		Hint:     "give the context its TLS files again",
		Commands: r.commands(r.written, turnOnTLS),
		Err:      sentence.Of(fault.Err, "the TLS files of the context %q are damaged, %s", r.context, what),
	}
}

// beforeTLS says whether a fault was found before TLS began, so that no file can be its
// cause.
func beforeTLS(fault *report.Fault) bool {
	return slices.ContainsFunc(fault.Evidence, func(line string) bool {
		phase, ok := strings.CutPrefix(line, "phase reached: ")
		return ok && (phase == string(netprobe.PhaseResolve) || phase == string(netprobe.PhaseConnect))
	})
}

// fromFiles are the causes that damaged TLS files of a context may have.
var fromFiles = []report.Cause{connection.TLSRequired, connection.TLSClientCertRejected, connection.TLSUntrusted, connection.EngineUnreachable}

// damage is what is wrong with the TLS files of a stored context, as a part of a sentence;
// empty for nothing.
func (r reviewer) damage() string {
	if !r.stored() || !strings.HasPrefix(r.settings.Host, "tcp://") {
		return ""
	}
	_, err := r.material.Config()
	switch {
	case r.material.Cert != nil && r.material.Key == nil:
		return "cert.pem is there without key.pem"
	case r.material.Key != nil && r.material.Cert == nil:
		return "key.pem is there without cert.pem"
	case err != nil:
		return err.Error()
	case r.material.CA == nil && r.material.Cert == nil && isFolder(r.tlsFiles):
		return "the folder is empty"
	default:
		return ""
	}
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
