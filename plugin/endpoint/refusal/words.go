package refusal

import (
	"bytes"
	"encoding/json"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/nestprobe/docker-nestprobe/plugin/endpoint/internal/sentence"
)

// wordsOf is what an answer says, in one line: the message of JSON, the text of HTML.
func wordsOf(body []byte) string {
	var answer struct {
		Message string `json:"message"`
	}
	text := string(body)
	switch {
	case json.Unmarshal(body, &answer) == nil && answer.Message != "":
		text = answer.Message
	case bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")):
		text = textOfHTML(body)
	}
	return sentence.Visible(strings.Join(strings.Fields(text), " "))
}

// textOfHTML is what a browser shows of a page; its title if it shows nothing.
func textOfHTML(page []byte) string {
	var title, text strings.Builder
	var inside []atom.Atom // the elements that hold no text to show
	for tokens := html.NewTokenizer(bytes.NewReader(page)); ; {
		kind := tokens.Next()
		switch kind {
		case html.ErrorToken: // the end
			if strings.TrimSpace(text.String()) == "" {
				return title.String()
			}
			return text.String()
		case html.StartTagToken, html.EndTagToken:
			name, _ := tokens.TagName()
			inside = track(inside, atom.Lookup(name), kind == html.StartTagToken)
			text.WriteByte(' ')
		case html.TextToken:
			switch {
			case len(inside) == 0:
				text.Write(tokens.Text())
			case inside[len(inside)-1] == atom.Title:
				title.Write(tokens.Text())
			}
		}
	}
}

// track adds or removes an element that holds no text to show.
func track(inside []atom.Atom, element atom.Atom, begins bool) []atom.Atom {
	switch {
	case element != atom.Title && element != atom.Style && element != atom.Script:
		return inside
	case begins:
		return append(inside, element)
	default:
		return inside[:max(0, len(inside)-1)]
	}
}
