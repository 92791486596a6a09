package bounds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// frameHeader is the length of a frame's header: the stream's number, three zeros, and the
// length of the frame (Engine API, ContainerAttach).
const frameHeader = 8

// The streams of a multiplexed output.
const (
	stdinFrame = iota // Docker's client takes it as stdout too
	stdoutFrame
	stderrFrame
	errorFrame // an error of the engine
)

// maxFrameError bounds what is kept of an error of the engine, in bytes.
const maxFrameError = 4 << 10

// Demultiplex copies the frames of a multiplexed output to stdout and stderr until it ends.
// Unlike StdCopy of docker/docker's pkg/stdcopy, it allocates no memory for the length that
// a frame claims, which may be 4 GiB.
func Demultiplex(stdout, stderr io.Writer, output io.Reader) error {
	var header [frameHeader]byte
	buffer := make([]byte, 32<<10)
	for {
		if _, err := io.ReadFull(output, header[:]); err != nil {
			return unlessEnded(err)
		}
		frame := io.LimitReader(output, int64(binary.BigEndian.Uint32(header[4:])))
		to := stdout
		switch header[0] {
		case stdinFrame, stdoutFrame:
		case stderrFrame:
			to = stderr
		case errorFrame:
			message, err := io.ReadAll(io.LimitReader(frame, maxFrameError))
			return errors.Join(fmt.Errorf("the engine reports an error in the output: %s", message), err)
		default:
			return fmt.Errorf("the output has a frame of the unknown kind %d", header[0])
		}
		// Without its other methods, which would have CopyBuffer leave the buffer unused.
		if _, err := io.CopyBuffer(struct{ io.Writer }{to}, frame, buffer); err != nil {
			return err
		}
	}
}

// unlessEnded returns nil for the end of an output, also within a header.
func unlessEnded(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}
