package netprobe

import (
	"encoding/json"
	"errors"
	"math"
	"time"
)

// The JSON of results: durations in milliseconds, errors as texts.

// milliseconds is a duration as JSON has it. A float64 holds every nanosecond of
// 100 days.
type milliseconds float64

func toMS(d time.Duration) milliseconds { return milliseconds(float64(d) / float64(time.Millisecond)) }

func (ms milliseconds) duration() time.Duration {
	return time.Duration(math.Round(float64(ms) * float64(time.Millisecond)))
}

type timingsJSON struct {
	Resolve   milliseconds `json:"resolveMs"`
	Connect   milliseconds `json:"connectMs"`
	FirstByte milliseconds `json:"firstByteMs"`
	Total     milliseconds `json:"totalMs"`
}

// MarshalJSON writes the durations in milliseconds.
func (t Timings) MarshalJSON() ([]byte, error) {
	return json.Marshal(timingsJSON{toMS(t.Resolve), toMS(t.Connect), toMS(t.FirstByte), toMS(t.Total)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (t *Timings) UnmarshalJSON(text []byte) error {
	var j timingsJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*t = Timings{j.Resolve.duration(), j.Connect.duration(), j.FirstByte.duration(), j.Total.duration()}
	return nil
}

type tryJSON struct {
	Remote  string       `json:"remote"`
	Failure Failure      `json:"failure"`
	Error   string       `json:"error,omitempty"`
	Connect milliseconds `json:"connectMs"`
}

// MarshalJSON writes the duration in milliseconds, and the text of the error.
func (t Try) MarshalJSON() ([]byte, error) {
	return json.Marshal(tryJSON{t.Remote, t.Failure, errorText(t.Err), toMS(t.Connect)})
}

// UnmarshalJSON reads what MarshalJSON writes. The error has only its text.
func (t *Try) UnmarshalJSON(text []byte) error {
	var j tryJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*t = Try{j.Remote, j.Failure, errorOf(j.Error), j.Connect.duration()}
	return nil
}

// plainResult is a Result without its methods.
type plainResult Result

type resultJSON struct {
	plainResult

	Error string `json:"error,omitempty"`
}

// MarshalJSON writes durations in milliseconds, and the text of the error.
func (r Result) MarshalJSON() ([]byte, error) {
	return json.Marshal(resultJSON{plainResult(r), errorText(r.Err)})
}

// UnmarshalJSON reads what MarshalJSON writes. The errors have only their texts.
func (r *Result) UnmarshalJSON(text []byte) error {
	var j resultJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return err
	}
	*r = Result(j.plainResult)
	r.Err = errorOf(j.Error)
	return nil
}

// errorText is the text of an error, safe to show and bounded; "" for nil.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return Visible(err.Error(), DetailLimit)
}

func errorOf(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
