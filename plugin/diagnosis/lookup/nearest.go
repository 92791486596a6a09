package lookup

import (
	"cmp"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// maxNearest is as many ids as are read at a glance.
const maxNearest = 5

// Nearest returns the causes that someone who typed id may have meant, at most
// five, the likeliest first: those whose id has it as a part or is a few letters
// away, or else those that share a word with it.
func Nearest(id string) []report.Cause {
	id = strings.ToLower(strings.Join(strings.FieldsFunc(id, isSeparator), "-"))
	near := slices.DeleteFunc(diagnosis.Causes(), func(c report.Cause) bool { return !isNear(id, c) })
	if len(near) == 0 {
		near = slices.DeleteFunc(diagnosis.Causes(), func(c report.Cause) bool { return !sharesWord(id, c) })
	}
	slices.SortStableFunc(near, func(a, b report.Cause) int {
		return cmp.Or(cmp.Compare(typos(id, a), typos(id, b)), cmp.Compare(distance(id, a), distance(id, b)))
	})
	return near[:min(len(near), maxNearest)]
}

func isSeparator(r rune) bool { return strings.ContainsRune("-_ ", r) }

// isNear allows a typing error in every three letters, and no more than four, at
// which ids that only look alike begin to match.
func isNear(id string, c report.Cause) bool {
	return typos(id, c) <= min(len(id)/3, 4) && len(id) >= minWord
}

// typos is how many letters of id are wrong: none if it is a part of the cause.
func typos(id string, c report.Cause) int {
	if strings.Contains(string(c), id) {
		return 0
	}
	return distance(id, c)
}

func distance(id string, c report.Cause) int { return levenshtein.ComputeDistance(id, string(c)) }

// minWord leaves out words like "on", which say nothing.
const minWord = 3

func sharesWord(id string, c report.Cause) bool {
	words := strings.Split(string(c), "-")
	return slices.ContainsFunc(strings.Split(id, "-"), func(word string) bool {
		return len(word) >= minWord && slices.Contains(words, word)
	})
}
