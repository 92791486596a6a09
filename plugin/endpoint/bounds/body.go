package bounds

import (
	"fmt"
	"io"
)

// largeAnswer is the size, in bytes, from which on only one answer is read and decoded at a
// time, so that several large ones do not add up in memory.
const largeAnswer = 1 << 20

// body is the body of an answer. Its Read fails when the answer exceeds a bound.
type body struct {
	io.ReadCloser
	call    *call
	limit   int64 // bytes; 0 for none
	checked bool  // it may be JSON
	read    int64
	large   bool // it holds Transport.large
	values  scanner
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if exceeded := b.check(p[:n]); exceeded != nil {
		b.call.fail(exceeded)
	}
	if b.read > largeAnswer && b.call.kind == query {
		b.awaitTurn()
	}
	failure := b.call.failure(err)
	if failure != nil {
		b.call.end()
	}
	if Is(failure) {
		n = 0
	}
	return n, failure
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.call.end()
	if b.large {
		b.large = false
		<-b.call.transport.large
	}
	return b.ReadCloser.Close()
}

// awaitTurn waits until no other large answer is being read, or the call ends.
func (b *body) awaitTurn() {
	if b.large {
		return
	}
	select {
	case b.call.transport.large <- struct{}{}:
		b.large = true
	case <-b.call.done:
	}
}

// check returns the bound that the answer exceeds with what was just read.
func (b *body) check(data []byte) *Error {
	name := b.call.name
	if b.limit > 0 && b.read > b.limit {
		return newWrong(name, "is larger than %s", size(b.limit))
	}
	if !b.checked {
		return nil
	}
	messages := b.values.messages
	if why := b.values.scan(data); why != "" {
		return newWrong(name, "%s", why)
	}
	if b.call.kind != transfer {
		return nil
	}
	if b.values.messages > messages {
		b.call.progress()
	}
	if b.values.bytes > maxMessage {
		return newWrong(name, "has a message larger than %s", size(maxMessage))
	}
	return nil
}

// size prints a number of bytes, as in 16 MiB.
func size(bytes int64) string {
	const kib, mib = 1 << 10, 1 << 20
	if bytes >= mib {
		return fmt.Sprintf("%d MiB", bytes/mib)
	}
	return fmt.Sprintf("%d KiB", bytes/kib)
}
