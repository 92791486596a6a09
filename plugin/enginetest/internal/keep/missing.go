package keep

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// EnginesVariable names the variable that CI sets to "all": a kind of engine that cannot be
// started on this machine then fails its tests. Otherwise they are skipped.
const EnginesVariable = "ENGINES"

// AllRequired says whether the tests of a kind that cannot be started here are to fail.
func AllRequired() bool { return os.Getenv(EnginesVariable) == "all" }

// MissingError says what this machine lacks for a kind of engine, or for something that tests
// do to one.
type MissingError struct {
	Needs string // such as "root"
	Fix   string // what to do about it
}

func (e *MissingError) Error() string { return "it needs " + e.Needs + ": " + e.Fix }

// Missing has what this machine lacks, by the kind that could not be started, or by what could
// not be done to one.
type Missing map[string]MissingError

// String is a list for the end of a run, a line for each need; empty if nothing was missing.
func (m Missing) String() string {
	kinds := map[MissingError][]string{}
	for kind, missing := range m {
		kinds[missing] = append(kinds[missing], kind)
	}
	if len(kinds) == 0 {
		return ""
	}
	text := strings.Builder{}
	fmt.Fprintf(&text, "Kinds of engines whose tests were not run (with %s=all that is a failure):\n", EnginesVariable)
	byNeed := func(a, b MissingError) int { return cmp.Compare(a.Needs, b.Needs) }
	for _, missing := range slices.SortedFunc(maps.Keys(kinds), byNeed) {
		names := kinds[missing]
		slices.Sort(names)
		fmt.Fprintf(&text, "  %s: need %s: %s\n", strings.Join(names, ", "), missing.Needs, missing.Fix)
	}
	return text.String()
}

// CheckRoot returns a MissingError if this user cannot make namespaces.
func CheckRoot() error {
	if os.Getuid() != 0 {
		return &MissingError{Needs: "root", Fix: "run the tests as root"}
	}
	return nil
}
