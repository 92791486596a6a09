//go:build !linux

package listening

// Read returns ErrUnsupported.
func Read() (Listeners, error) { return Listeners{}, ErrUnsupported }
