package report

// ListedCause is a cause as `diagnose --list` and `diagnose --explain` print it in JSON, one
// on a line. Its keys are those of a template, as with docker's own lists.
type ListedCause struct {
	ID          Cause  `json:"ID"`
	Title       string `json:"Title"`                 // what is wrong, in one sentence
	Message     string `json:"Message,omitempty"`     // the error message by which --explain found it
	Explanation string `json:"Explanation,omitempty"` // its page, in Markdown, if --explain was given its id
}
