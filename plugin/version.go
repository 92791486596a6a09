package plugin

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/cli/cli/command/formatter/tabwriter"
	flagshelper "github.com/docker/cli/cli/flags"
	"github.com/docker/cli/templates"
	"github.com/spf13/cobra"

	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage"
	"github.com/nestprobe/docker-nestprobe/plugin/engine/agentimage/agents"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
	"github.com/nestprobe/docker-nestprobe/plugin/report/render"
)

// versionTemplate is the default output. Its layout is that of docker version.
const versionTemplate = ` Version:	{{.Version}}
{{- if .GitCommit}}
 Git commit:	{{.GitCommit}}
 Committed:	{{.CommitTime}}
{{- end}}
 Go version:	{{.GoVersion}}
 OS/Arch:	{{.Os}}/{{.Arch}}
 Report schema:	{{.SchemaVersion}}
{{- range .Agents}}
 Agent {{.Platform}}:	{{.Image}}
{{- else}}
 Agent:	none (build with make)
{{- end}}
`

// Build is what make sets in the plugin with the linker. Fields that make has not set
// are taken from what the go command records.
type Build struct {
	Version    string // such as "v0.1.0"; "dev" if make has not set it
	Commit     string // of git
	CommitTime string // in RFC 3339
}

// unknownVersion is the version of a plugin that was built without make.
const unknownVersion = "dev"

// WithRecorded returns the build with the fields that are not set taken from info:
// `go install MODULE@VERSION` records the version, and a build in a clone the commit.
func (b Build) WithRecorded(info *debug.BuildInfo) Build {
	if recorded := info.Main.Version; b.Version == unknownVersion && recorded != "" && recorded != "(devel)" {
		b.Version = recorded
	}
	if b.Commit != "" {
		return b
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.CommitTime = setting.Value
		}
	}
	return b
}

func newVersionCommand(dockerCLI command.Cli, build Build) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "version [OPTIONS]",
		Short: "Show the version of the plugin, its agents and its report",
		Long:  "Show the version of the plugin, its agents and its report. No engine is needed.",
		Example: `  docker nestprobe version
  docker nestprobe version --format json
  docker nestprobe version --format '{{.Version}}'`,
		Args:              rejectArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			info, err := newVersionInfo(build, agents.Files)
			if err != nil {
				return cli.StatusError{Status: visible(err), Cause: err, StatusCode: exitNotMeasured}
			}
			return writeVersion(dockerCLI.Out(), info, format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", flagshelper.InspectFormatHelp)
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{formatter.JSONFormatKey}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// newVersionInfo describes this program.
func newVersionInfo(build Build, binaries agentimage.Binaries) (report.Version, error) {
	found, err := agentsIn(binaries)
	return report.Version{
		Version:       build.Version,
		GitCommit:     build.Commit,
		CommitTime:    build.CommitTime,
		GoVersion:     runtime.Version(),
		Os:            runtime.GOOS,
		Arch:          runtime.GOARCH,
		SchemaVersion: report.SchemaVersion,
		Agents:        found,
	}, err
}

// agentsIn lists the agents among the embedded files. A plugin built without make has
// none.
func agentsIn(binaries agentimage.Binaries) ([]report.Agent, error) {
	found := []report.Agent{}
	for _, platform := range agentimage.Platforms() {
		os, arch, _ := strings.Cut(platform, "/")
		image, err := agentimage.Reference(binaries, os, arch)
		if errors.Is(err, agentimage.ErrNoAgent) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, report.Agent{Platform: platform, Image: image})
	}
	return found, nil
}

// writeVersion prints a version with a format as docker version takes it. An invalid one is
// a usage error.
func writeVersion(w io.Writer, v report.Version, format string) error {
	if err := render.CheckWord(format, formatter.JSONFormatKey); err != nil {
		return usageError(nameFormat(err))
	}
	switch format {
	case "":
		format = versionTemplate
	case formatter.JSONFormatKey:
		format = formatter.JSONFormat + "\n"
	default:
		format += "\n"
	}
	template, err := templates.New("version").Parse(format)
	if err != nil {
		return usageError(fmt.Errorf("invalid --format: %w", err))
	}
	table := tabwriter.NewWriter(w, 20, 1, 1, ' ', 0)
	if err := template.Execute(table, v); err != nil {
		return usageError(fmt.Errorf("invalid --format: %w", err))
	}
	return table.Flush()
}
