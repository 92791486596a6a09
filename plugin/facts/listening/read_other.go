//go:build !linux

package listening

// Read always fails.
func Read() (Listeners, error) { return Listeners{}, ErrUnsupported }

// ReadTraffic always fails.
func ReadTraffic(uint16) (Traffic, error) { return Traffic{}, ErrUnsupported }
