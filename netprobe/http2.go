package netprobe

import (
	"encoding/binary"
	"errors"
)

// preface is how a client begins that knows that the server speaks HTTP/2: a fixed
// text, and an empty SETTINGS frame (RFC 9113, section 3.4).
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

// frameHeaderSize is how many bytes come before the payload of a frame (RFC 9113,
// section 4.1).
const frameHeaderSize = 9

var errNotHTTP2 = errors.New("not an HTTP/2 connection")

// settings finds out whether the server speaks HTTP/2 without having been asked over
// HTTP/1. The first frame of such a server is SETTINGS, so its header is proof enough,
// and nothing after it is read.
func (p *prober) settings(w *wire) *setback {
	_, writeErr := w.Write([]byte(preface))
	first, err := w.in.Peek(frameHeaderSize)
	p.result.Timings.FirstByte = w.firstByte()
	if !w.silent() {
		p.enter(PhaseAnswer)
	}
	switch {
	case err == nil && isSettings(first):
		p.result.Detail = "the server answered with an HTTP/2 SETTINGS frame"
		return nil
	case !w.silent():
		return &setback{NotHTTP, "the answer is not HTTP/2, it begins with " + quote(w.buffered()), errNotHTTP2}
	}
	return w.headerSetback(errors.Join(err, writeErr))
}

// isSettings reports whether b begins like the first frame of an HTTP/2 server: of type
// SETTINGS, not an acknowledgement, for the whole connection, and of six bytes for each
// setting (RFC 9113, section 6.5). No other protocol was seen to begin so.
func isSettings(b []byte) bool {
	const settingSize, longest = 6, 16 << 10
	if len(b) < frameHeaderSize {
		return false
	}
	length := binary.BigEndian.Uint32(append([]byte{0}, b[:3]...))
	kind, flags, stream := b[3], b[4], binary.BigEndian.Uint32(b[5:9])
	return kind == 4 && flags == 0 && stream == 0 && length%settingSize == 0 && length <= longest
}
