package engine

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Scope collects what a command has made on an engine, to undo it when the command
// ends. The scopes of one command share the time that is left once the command has
// failed or was interrupted: a user waits for ten seconds at most.
// What cannot be removed in time goes by its lease or deadline.
type Scope struct {
	remaining *remaining

	mu    sync.Mutex
	steps []func(context.Context) error
}

// NewScope returns the scope of a command.
func NewScope() *Scope { return &Scope{remaining: &remaining{}} }

// Part returns a scope for a part of the command that is closed separately.
func (s *Scope) Part() *Scope { return &Scope{remaining: s.remaining} }

// Undo adds a step that removes something. It is added before that is made, because
// a request that fails may have made it.
func (s *Scope) Undo(step func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.steps = append(s.steps, step)
}

// Close runs the steps, the last one first, whether ctx has ended or not. A step that
// fails ends it with a *CleanUpError, since what earlier steps remove may still be in
// use. If the command has not failed, Close also returns the cause of ctx: a user who
// interrupts the clean-up interrupts the command.
func (s *Scope) Close(ctx context.Context, failed bool) error {
	s.mu.Lock()
	steps := s.steps
	s.steps = nil
	s.mu.Unlock()
	for _, step := range slices.Backward(steps) {
		if err := s.run(ctx, failed, step); err != nil {
			return &CleanUpError{err}
		}
	}
	if failed {
		return nil
	}
	return context.Cause(ctx)
}

// run runs a step, which goes on when ctx ends, or has ended, within the limits below.
func (s *Scope) run(ctx context.Context, failed bool, step func(context.Context) error) error {
	limit := finishedLimit
	if failed {
		limit = s.remaining.left()
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(s.remaining.left(), cancel) })
	defer stop()
	return step(bounded)
}

// Limits of a clean-up, including the time of an engine that restarts. A user who
// interrupts, or whose engine is lost, waits for ten seconds at most, of which a
// request that is still making something may take CreateGrace. After a command that
// ended well a busy engine has more time.
const (
	InterruptedLimit = 10*time.Second - CreateGrace - lastLimit
	finishedLimit    = time.Minute // a removal that exceeds its bound ends before, and says so
)

// lastLimit is the least that a step has when the others have taken all the time:
// five times what the removal of a server takes.
const lastLimit = time.Second

// CreateGrace is how long a request that makes something may go on after the end of
// the command's context. Such requests took 12 to 60 ms; the rest is for a busy
// engine. One that takes longer hangs, and what it makes is removed after its deadline.
const CreateGrace = 2 * time.Second

// remaining is the time that the clean-ups of a command have, all of them together,
// once it has failed or was interrupted.
type remaining struct {
	mu  sync.Mutex
	end time.Time // zero until the first of them
}

// left is the time that is left from now, and at least lastLimit.
func (r *remaining) left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end.IsZero() {
		r.end = time.Now().Add(InterruptedLimit)
	}
	return max(time.Until(r.end), lastLimit)
}

// Extend returns a context that ends d later than ctx. A request that makes something
// is not cancelled immediately, because then it is not known what the engine made of
// it; a helper that is told to stop may still report what it has measured.
func Extend(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	extended, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel(context.Cause(ctx))
		case <-extended.Done():
		}
	})
	return extended, func() { stop(); cancel(nil) }
}

// CleanUpError says that something could not be removed. A later run removes it after its
// deadline.
type CleanUpError struct{ err error }

// Error returns why it could not be removed.
func (e *CleanUpError) Error() string { return e.err.Error() }

// Unwrap returns the error underneath.
func (e *CleanUpError) Unwrap() error { return e.err }
