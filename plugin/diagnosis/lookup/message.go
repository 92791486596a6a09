// Package lookup finds causes by what people have: an error message from elsewhere
// ([WithMessage]), or the id of a cause that they do not remember exactly ([Nearest]).
package lookup

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/nestprobe/docker-nestprobe/plugin/diagnosis"
	"github.com/nestprobe/docker-nestprobe/plugin/report"
)

// messagesPart is the heading of an explanation's part with the error messages under
// which people meet the cause: what curl, docker, browsers and languages print.
const messagesPart = "## Error messages"

// Match is a cause that has an error message.
type Match struct {
	Cause   report.Cause
	Message string // the one of the cause's messages that fits best, as the explanation has it
}

// WithMessage returns the causes that have an error message which is a part of text,
// or of which text is a part, the best match first. text may be one word of a message
// or several lines of a log.
//
// Messages and text are compared word by word, in order. A word that few messages have
// counts more than one that many have, so that only "connection" matches nothing.
func WithMessage(text string) []Match { return newMessageIndex().find(text) }

// messageIndex has the messages of all causes.
type messageIndex struct {
	messages []message
	weights  weights
}

func newMessageIndex() messageIndex {
	var all []message
	for _, c := range diagnosis.Causes() {
		for place, text := range messagesOf(diagnosis.Explanation(c)) {
			all = append(all, message{c, text, wordsOf(text), place})
		}
	}
	return messageIndex{all, weightsIn(all)}
}

func (x messageIndex) find(text string) []Match {
	words := wordsOf(text)
	ofText := x.weights.sum(words)
	best := map[report.Cause]fit{}
	for _, m := range x.messages {
		f := x.fit(m, words, ofText)
		if known, ok := best[m.cause]; f.counts() && (!ok || better(f, known) < 0) {
			best[m.cause] = f
		}
	}
	return ranked(best)
}

// message is one line of an explanation's part messagesPart.
type message struct {
	cause report.Cause
	text  string
	words []string // anyWords among them
	place int      // within the messages of the cause: the first is the most typical
}

// anyWords is the word for "...", which stands in a message for parts that differ, such
// as a port.
const anyWords = "\u2026"

// messagesOf are the indented lines of an explanation's part messagesPart.
func messagesOf(explanation string) []string {
	_, part, _ := strings.Cut(explanation, messagesPart+"\n")
	part, _, _ = strings.Cut(part, "\n## ")
	var messages []string
	for line := range strings.Lines(part) {
		if text, ok := strings.CutPrefix(line, "    "); ok {
			messages = append(messages, strings.TrimSpace(text))
		}
	}
	return messages
}

// wordsOf splits a text into words: letters, digits and underscores, in lower case.
// Apostrophes belong to no word: "couldn't" is one.
func wordsOf(text string) []string {
	text = strings.NewReplacer("'", "", "\u2019", "", "...", " "+anyWords+" ", anyWords, " "+anyWords+" ").Replace(strings.ToLower(text))
	return strings.FieldsFunc(text, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("_"+anyWords, r)
	})
}

// weights are how much words count: 0 if each message has the word, and mostRare if
// none has.
type weights struct {
	of       map[string]float64
	mostRare float64
}

func weightsIn(all []message) weights {
	seen := map[string]bool{}
	count := map[string]float64{}
	for _, m := range all {
		if seen[m.text] {
			continue // several causes have it
		}
		seen[m.text] = true
		for _, word := range slices.Compact(slices.Sorted(slices.Values(m.words))) {
			count[word]++
		}
	}
	total := float64(len(seen))
	w := weights{of: map[string]float64{}, mostRare: math.Log(total)}
	for word, n := range count {
		w.of[word] = math.Log(total / n)
	}
	w.of[anyWords] = 0
	return w
}

const (
	ofNumber   = 0.9 // the most that a number counts: an address is no error message
	ofStopWord = 0.3 // what a word counts that is in every sentence
)

func isStopWord(word string) bool {
	switch word {
	case "a", "an", "and", "are", "at", "be", "by", "for", "in", "is", "it", "of", "on", "or", "that", "the", "to", "was", "with":
		return true
	}
	return false
}

// word is what a word of a text counts. Numbers that no message has count nothing: they
// are ports, times and lines of code.
func (w weights) word(word string) float64 {
	weight, known := w.of[word]
	switch isNumber := strings.IndexFunc(word, unicode.IsLetter) < 0; {
	case isNumber && known:
		return min(weight, ofNumber)
	case isNumber:
		return 0
	case isStopWord(word):
		return ofStopWord
	case known:
		return weight
	}
	return w.mostRare
}

func (w weights) sum(words []string) float64 {
	var sum float64
	for _, word := range words {
		sum += w.word(word)
	}
	return sum
}

// fit is how well a message and a text fit.
type fit struct {
	message
	shared    float64 // what their common words count
	ofMessage float64 // the share of the message that is in the text, 0 to 1
	ofText    float64 // the share of the text that is in the message, 0 to 1
}

// fit compares a message with the words of a text, which together count ofText.
func (x messageIndex) fit(m message, words []string, ofText float64) fit {
	f := fit{message: m, shared: aligned(m.words, words, x.weights)}
	if f.shared > 0 {
		f.ofMessage = f.shared / x.weights.sum(m.words)
		f.ofText = f.shared / ofText
	}
	return f
}

const (
	enoughShared = 4.5  // as much as a word that one of ninety messages has
	enoughAlone  = 4.0  // as much as a word that one of fifty messages has, if it is the whole text
	enoughFit    = 0.65 // of the message, or of the text
)

func (f fit) counts() bool {
	return f.share() >= enoughFit && (f.shared >= enoughShared || f.ofText == 1 && f.shared >= enoughAlone)
}

func (f fit) share() float64 { return max(f.ofMessage, f.ofText) }

// score prefers a message that is long and rare to a short one, and one that is there as
// a whole to a part of one.
func (f fit) score() float64 { return f.shared * f.share() * f.share() }

// better compares fits for sorting. If a text has the message of several causes, the
// cause that lists it earlier is more typical of it.
func better(a, b fit) int {
	return cmp.Or(
		cmp.Compare(math.Round(b.score()*100), math.Round(a.score()*100)),
		cmp.Compare(math.Round(b.ofMessage*100), math.Round(a.ofMessage*100)),
		cmp.Compare(a.place, b.place),
		cmp.Compare(a.cause, b.cause))
}

// nearBest is the share of the best score below which a match is left out.
const nearBest = 0.6

func ranked(best map[report.Cause]fit) []Match {
	fits := slices.Collect(maps.Values(best))
	slices.SortFunc(fits, better)
	var matches []Match
	for _, f := range fits {
		if f.score() >= nearBest*fits[0].score() {
			matches = append(matches, Match{f.cause, f.text})
		}
	}
	return matches
}

const (
	extraWord   = 0.5  // the cost of a word of the text within the message
	skippedWord = 0.02 // as extraWord, where the message has anyWords
	missingWord = 0.5  // the cost of a word that the text lacks, as a part of what it counts
)

// aligned is what the words count that two texts share in the same order, at the place
// where most are shared, less the words between them that only one has (the local
// alignment of Smith and Waterman).
func aligned(message, text []string, weights weights) float64 {
	var best float64
	above := make([]float64, len(text)+1)
	row := make([]float64, len(text)+1)
	for _, word := range message {
		row[0] = 0
		weight, extra := weights.word(word), extraWord
		if word == anyWords {
			extra = skippedWord
		}
		for j, other := range text {
			score := max(0, above[j+1]-missingWord*weight, row[j]-extra)
			if word == other {
				score = max(score, above[j]+weight)
			}
			row[j+1] = score
			best = max(best, score)
		}
		above, row = row, above
	}
	return best
}
