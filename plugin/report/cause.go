package report

// Cause is the stable id of something that can be wrong. Ids are never reused.
// Each has a file in package diagnosis.
type Cause string
