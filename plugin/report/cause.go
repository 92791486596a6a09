package report

// Cause is the stable id of something that can be wrong, such as port-in-use. An id is
// never reused for something else. Package diagnosis explains each cause.
type Cause string
