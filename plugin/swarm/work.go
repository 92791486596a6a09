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
	"strings"
	"sync"
	"time"

	"github.com/nestprobe/docker-nestprobe/netprobe"
	"github.com/nestprobe/docker-nestprobe/plugin/engine"
)

// Variables of the agent's environment. A service's container has no stdin, and Swarm fills
// in templates only in the environment.
const (
	IdentityVariable = "NESTPROBE_IDENTITY" // of the role serve
	WorkVariable     = "NESTPROBE_WORK"     // of the role probe: an encoded NodeWork
)

// NodeWork is the work of the helper on a node. It holds no secrets.
type NodeWork struct {
	Races  []netprobe.Race `json:"races"`  // to run in parallel
	Settle time.Duration   `json:"settle"` // how long failing addresses are retried
}

// NodeResult is the result for one target, a line of the helper's output. Lines are short,
// because logs of containers are split at 16 KiB.
type NodeResult struct {
	Race    int             `json:"race"`
	Attempt int             `json:"attempt"`
	Result  netprobe.Result `json:"result"`
}

// maxNodeBody bounds the body of an answer in a NodeResult.
const maxNodeBody = 1 << 10

// Encode returns the work as the value of an environment variable. It is compressed because
// the kernel accepts at most 128 KiB, and most of each target is the same.
func (w NodeWork) Encode() (string, error) {
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	err := json.NewEncoder(compressed).Encode(w)
	if err = errors.Join(err, compressed.Close()); err != nil {
		return "", fmt.Errorf("encoding the work of a node: %w", err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

// maxWork bounds the decompressed work, which is 100 KB for a hundred nodes.
const maxWork = 64 << 20

// DecodeNodeWork is the reverse of Encode.
func DecodeNodeWork(word string) (NodeWork, error) {
	var work NodeWork
	unpacked, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(word)))
	if err == nil {
		err = json.NewDecoder(io.LimitReader(unpacked, maxWork)).Decode(&work)
	}
	if err != nil {
		return work, fmt.Errorf("decoding the work of a node: %w", err)
	}
	return work, nil
}

// Do probes all targets from this process.
func (w NodeWork) Do(ctx context.Context) []NodeResult {
	ctx, cancel := context.WithTimeout(ctx, w.Settle)
	defer cancel()
	results := make([][]netprobe.Result, len(w.Races))
	var races sync.WaitGroup
	for i, race := range w.Races {
		races.Go(func() { results[i] = settle(ctx, race) })
	}
	races.Wait()
	var all []NodeResult
	for race, ofRace := range results {
		for attempt, result := range ofRace {
			result.Body = netprobe.Visible(result.Body, maxNodeBody)
			all = append(all, NodeResult{race, attempt, result})
		}
	}
	return all
}

// settle runs a race, and repeats the attempts that failed until all succeed or ctx ends: in
// a new overlay network the nodes learn of each other's containers one by one.
func settle(ctx context.Context, race netprobe.Race) []netprobe.Result {
	results := race.Run(ctx)
	for {
		var failing []int
		retry := race
		retry.Attempts = nil
		for i, r := range results {
			if !r.OK && r.Failure != netprobe.Silent { // an engine's port says nothing first
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
