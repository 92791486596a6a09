package engine

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker/docker/api/types"
	"gotest.tools/v3/assert"
	is "gotest.tools/v3/assert/cmp"
)

// A helper that never replies is not awaited for ever: an engine may say that it has started it,
// and has not.
func TestProberThatDoesNotReply(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }() // ends with the connection
		reader, writer := io.Pipe()
		drained := make(chan struct{})
		close(drained)
		p := NewRemoteProber(ctx, &Agent{
			Name: "nestprobe-x-witness", output: writer, messages: json.NewDecoder(reader),
			Lease: &Lease{connection: types.HijackedResponse{Conn: ours}, drained: drained},
		})
		began := time.Now()
		_, err := p.Sockets(ctx)
		assert.Check(t, is.Error(err, "container nestprobe-x-witness did not reply within 10s"))
		assert.Check(t, is.Equal(time.Since(began), replyLimit))
		_, _, err = p.Hold(ctx, nil, 3*time.Second)
		assert.Check(t, is.Error(err, "container nestprobe-x-witness did not reply within 13s"))
		cancel()
		_ = writer.CloseWithError(io.ErrClosedPipe)
		_ = ours.Close()
		_ = theirs.Close()
		<-p.lost
	})
}
