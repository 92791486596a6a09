package bounds

import (
	"fmt"
	"io"
)

// Bounds on the values of one document. Two bytes of an answer, such as "0,", become a
// value of several hundred bytes when a list is decoded, so that the size of an answer
// does not bound the memory that it takes. A list of 1,000 containers has 12,000 elements
// and objects, and 80,000 members.
const (
	maxEntries = 100_000 // elements of arrays, and objects
	maxMembers = 500_000 // of objects
	maxDepth   = 100
)

// scanner counts the values of JSON documents, as far as they have come. Text that is no
// JSON does no harm.
type scanner struct {
	bytes    int64 // of the current document
	messages int   // documents that have ended
	entries  int
	members  int
	inString bool
	escaped  bool
	open     []byte // the brackets that are open
}

// scan returns which bound the document exceeds; empty if it exceeds none.
func (s *scanner) scan(data []byte) string {
	s.bytes += int64(len(data))
	for _, c := range data {
		if s.inString {
			s.inText(c)
			continue
		}
		switch c {
		case '"':
			s.inString = true
		case '[', '{':
			s.enter(c)
		case ']', '}':
			s.leave()
		case ',':
			s.next()
		default:
			continue
		}
		if why := s.exceeded(); why != "" {
			return why
		}
	}
	return ""
}

func (s *scanner) inText(c byte) {
	switch {
	case s.escaped:
		s.escaped = false
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.inString = false
	}
}

func (s *scanner) enter(bracket byte) {
	s.open = append(s.open, bracket)
	s.entries++
	if bracket == '{' {
		s.members++
	}
}

func (s *scanner) next() {
	switch {
	case len(s.open) == 0:
	case s.open[len(s.open)-1] == '[':
		s.entries++
	default:
		s.members++
	}
}

func (s *scanner) leave() {
	if len(s.open) > 0 {
		s.open = s.open[:len(s.open)-1]
	}
	if len(s.open) == 0 {
		s.messages++
		s.bytes, s.entries, s.members = 0, 0, 0
	}
}

func (s *scanner) exceeded() string {
	switch {
	case s.entries > maxEntries:
		return fmt.Sprintf("has more than %d entries", maxEntries)
	case s.members > maxMembers:
		return fmt.Sprintf("has more than %d members", maxMembers)
	case len(s.open) > maxDepth:
		return fmt.Sprintf("is nested deeper than %d levels", maxDepth)
	}
	return ""
}

// Documents returns a reader of JSON documents that fails when one of them is larger than
// an answer may be. The error names the call whose answer they are.
func Documents(documents io.Reader, call string) io.Reader {
	return &documentReader{from: documents, call: call}
}

type documentReader struct {
	from   io.Reader
	call   string
	values scanner
}

func (r *documentReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if why := r.values.scan(p[:n]); why != "" {
		return 0, newWrong(r.call, "%s", why)
	}
	if r.values.bytes > maxAnswer {
		return 0, newWrong(r.call, "has a message larger than %s", size(maxAnswer))
	}
	return n, err
}
