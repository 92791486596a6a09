package swarm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// Variables of the agent's environment. Swarm fills in what a node's container is
// to know of itself in the environment alone, and hands nothing over stdin.
const (
	IdentityVariable = "NESTPROBE_IDENTITY" // of the role serve
	WorkVariable     = "NESTPROBE_WORK"     // of the role probe: an encoded NodeWork
)

// NodeWork is what the helper on a node is to do. It holds no secrets.
type NodeWork struct {
	Races  []netprobe.Race `json:"races"`  // one a server, in parallel
	Settle time.Duration   `json:"settle"` // how long failing addresses are retried
}

// NodeResult is what became of one target, a line of the helper's output. All
// lines are short: logs of containers are split at 16 KiB.
type NodeResult struct {
	Race    int             `json:"race"`
	Attempt int             `json:"attempt"`
	Result  netprobe.Result `json:"result"`
}

// maxNodeBody bounds what is told of a stranger's answer.
const maxNodeBody = 1 << 10

// Encode makes a word of the work, for an environment. It is compressed since the
// kernel takes no word of more than 128 KiB, and targets have most in common.
func (w NodeWork) Encode() (string, error) {
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	err := json.NewEncoder(compressed).Encode(w)
	if err = errors.Join(err, compressed.Close()); err != nil {
		return "", fmt.Errorf("encoding the work of a node: %w", err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

// maxWork bounds what is unpacked: 100 KB a hundred nodes.
const maxWork = 64 << 20

// DecodeNodeWork reads what Encode has written.
func DecodeNodeWork(word string) (NodeWork, error) {
	var work NodeWork
	packed, err := base64.StdEncoding.DecodeString(word)
	if err != nil {
		return work, fmt.Errorf("decoding the work of a node: %w", err)
	}
	compressed, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return work, fmt.Errorf("decoding the work of a node: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(compressed, maxWork)).Decode(&work); err != nil {
		return work, fmt.Errorf("decoding the work of a node: %w", err)
	}
	return work, nil
}

// Do does the work in this process.
func (w NodeWork) Do(ctx context.Context) []NodeResult {
	ctx, cancel := context.WithTimeout(ctx, w.Settle)
	defer cancel()
	results := make([][]netprobe.Result, len(w.Races))
	var group errgroup.Group
	for i, race := range w.Races {
		group.Go(func() error {
			results[i] = settle(ctx, race)
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
	var all []NodeResult
	for race, ofRace := range results {
		for attempt, result := range ofRace {
			result.Body = netprobe.Visible(result.Body, maxNodeBody)
			all = append(all, NodeResult{race, attempt, result})
		}
	}
	return all
}

// settle runs a race, and again what failed, until all is well or ctx ends: in
// a new overlay network the nodes learn of each other's containers one by one.
func settle(ctx context.Context, race netprobe.Race) []netprobe.Result {
	results := race.Run(ctx)
	for {
		var failing []int
		retry := race
		retry.Attempts = nil
		for i, r := range results {
			if !r.OK {
				failing = append(failing, i)
				retry.Attempts = append(retry.Attempts, race.Attempts[i])
			}
		}
		if len(failing) == 0 || !engine.Pause(ctx, engine.RetryPause) {
			return results
		}
		for i, r := range retry.Run(ctx) {
			if r.Attempts > 0 {
				r.Attempts += results[failing[i]].Attempts
				results[failing[i]] = r
			}
		}
	}
}
