// Package rootfs makes the file system of a container out of programs that this
// machine has: each with the shared libraries that it needs and nothing else. It
// is called by package enginetest; it must not know of engines.
package rootfs

import (
	"archive/tar"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// FS is a file system in the making, by absolute path without the leading slash.
type FS struct {
	entries map[string]entry
}

type entry struct {
	source string // file to copy
	link   string // or target of a symbolic link
	data   []byte // or contents; all empty: a folder
	mode   fs.FileMode
}

// New returns a file system with nothing in it but empty folders.
func New(folders ...string) *FS {
	f := &FS{entries: map[string]entry{}}
	for _, folder := range folders {
		f.entries[folder] = entry{mode: fs.ModeDir | 0o755}
	}
	return f
}

// AddMachineLinks adds the links that lead this machine's paths of programs and
// libraries to where they are, such as /lib to /usr/lib.
func (f *FS) AddMachineLinks() {
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if target, err := os.Readlink("/" + name); err == nil {
			f.AddLink(name, target)
		}
	}
}

// AddLink adds a symbolic link.
func (f *FS) AddLink(name, target string) {
	f.entries[name] = entry{link: target, mode: fs.ModeSymlink | 0o777}
}

// AddText adds a small file.
func (f *FS) AddText(name, text string) {
	f.entries[name] = entry{data: []byte(text), mode: 0o644}
}

// AddFile adds a file of this machine under another name.
func (f *FS) AddFile(name, source string) {
	f.entries[name] = entry{source: source, mode: 0o755}
}

// AddProgram adds a program or a library of this machine at its own path, with
// all that it needs. Links along the path become one, so that a program
// with many names has them here too.
func (f *FS) AddProgram(path string) error {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("copying a program: %w", err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("copying a program: %w", err)
	}
	name := strings.TrimPrefix(filepath.Join(dir, filepath.Base(path)), "/")
	if target := strings.TrimPrefix(file, "/"); name != target {
		f.AddLink(name, file)
		name = target
	}
	if _, ok := f.entries[name]; ok {
		return nil
	}
	f.entries[name] = entry{source: file, mode: 0o755}
	needed, err := needs(file)
	if err != nil {
		return fmt.Errorf("copying %s: %w", path, err)
	}
	for _, library := range needed {
		if err := f.AddProgram(library); err != nil {
			return err
		}
	}
	return nil
}

// needs lists the files that the dynamic linker loads for a program: itself, and
// the libraries that the program names. A static program or a script has none.
func needs(path string) ([]string, error) {
	file, err := elf.Open(path)
	if err != nil {
		if format := new(elf.FormatError); errors.As(err, &format) {
			return nil, nil
		}
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	found, err := linker(file)
	if err != nil {
		return nil, err
	}
	libraries, err := file.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	runpath, err := file.DynString(elf.DT_RUNPATH)
	if err != nil {
		return nil, err
	}
	for _, library := range libraries {
		located, err := locate(library, runpath)
		if err != nil {
			return nil, err
		}
		found = append(found, located)
	}
	return found, nil
}

// linker is the dynamic linker that a program names, if it is a dynamic one.
func linker(file *elf.File) ([]string, error) {
	for _, segment := range file.Progs {
		if segment.Type != elf.PT_INTERP {
			continue
		}
		path, err := io.ReadAll(segment.Open())
		if err != nil {
			return nil, err
		}
		return []string{strings.TrimRight(string(path), "\x00")}, nil
	}
	return nil, nil
}

// locate finds a library where ld.so(8) looks without a cache: in the program's
// own search path, then in the system's folders, Debian's for this CPU included.
func locate(library string, runpath []string) (string, error) {
	var dirs []string
	for _, path := range runpath {
		dirs = append(dirs, filepath.SplitList(path)...)
	}
	for _, pattern := range []string{"/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib"} {
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		dirs = append(dirs, matches...)
	}
	for _, dir := range dirs {
		path := filepath.Join(dir, library)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no %s in %s", library, strings.Join(dirs, ", "))
}

// names lists every entry and the folders above it, parents first.
func (f *FS) names() []string {
	all := map[string]bool{}
	for name := range f.entries {
		for ; name != "."; name = filepath.Dir(name) {
			all[name] = true
		}
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Stamp describes the contents, files by their size and time of change: it stays
// the same as long as they do, and is quick to make.
func (f *FS) Stamp() (string, error) {
	var stamp strings.Builder
	for _, name := range f.names() {
		e := f.entries[name]
		fmt.Fprintf(&stamp, "%s %v %s %q", name, e.mode, e.link, e.data)
		if e.source != "" {
			info, err := os.Stat(e.source)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&stamp, " %s %d %d", e.source, info.Size(), info.ModTime().UnixNano())
		}
		stamp.WriteByte('\n')
	}
	return stamp.String(), nil
}

// WriteTar writes the file system as a tar archive, everything owned by root.
func (f *FS) WriteTar(w io.Writer) error {
	archive := tar.NewWriter(w)
	for _, name := range f.names() {
		if err := f.write(archive, name); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return archive.Close()
}

func (f *FS) write(archive *tar.Writer, name string) error {
	e, ok := f.entries[name]
	if !ok {
		e.mode = fs.ModeDir | 0o755
	}
	header := &tar.Header{
		Name: name, Mode: int64(e.mode.Perm()), ModTime: time.Unix(0, 0),
		Typeflag: tar.TypeReg, Size: int64(len(e.data)), Format: tar.FormatPAX,
	}
	switch {
	case e.mode.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
	case e.link != "":
		header.Typeflag, header.Linkname = tar.TypeSymlink, e.link
	case e.source != "":
		return copyInto(archive, header, e.source)
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write(e.data)
	return err
}

func copyInto(archive *tar.Writer, header *tar.Header, source string) error {
	file, err := os.Open(source) //nolint:gosec // a program of this machine
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // read only
	info, err := file.Stat()
	if err != nil {
		return err
	}
	header.Size = info.Size()
	if err = archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, file)
	return err
}
