package experiment

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
)

// Variables of the agent's environment. Swarm fills in what a node's container is
// to know of itself in the environment alone, and hands nothing over stdin.
const (
	IdentityVariable = "NESTPROBE_IDENTITY" // of the role serve
	WorkVariable     = "NESTPROBE_WORK"     // of the role probe: an encoded NodeWork
)

// NodeWork is what the helper on a node is to do. It holds no secrets.
type NodeWork struct {
	Contests []ProbeWork   `json:"contests"` // one a server, all at once
	Settle   time.Duration `json:"settle"`   // how long what fails is tried again
}

// NodeResult is what became of one target, a line of the helper's output. All
// lines are short: logs of containers are split at 16 KiB.
type NodeResult struct {
	Contest int         `json:"contest"`
	Target  int         `json:"target"`
	Result  ProbeResult `json:"result"`
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
	results := make([][]ProbeResult, len(w.Contests))
	var group errgroup.Group
	for i, work := range w.Contests {
		group.Go(func() error {
			results[i] = work.settle(ctx)
			return nil
		})
	}
	_ = group.Wait() // its functions return no errors
	var all []NodeResult
	for contest, ofContest := range results {
		for target, result := range ofContest {
			result.Body = netprobe.Visible(result.Body, maxNodeBody)
			all = append(all, NodeResult{contest, target, result})
		}
	}
	return all
}

// settle does the work, and again what failed, until all is well or ctx ends: in
// a new overlay network the nodes learn of each other's containers one by one.
func (w ProbeWork) settle(ctx context.Context) []ProbeResult {
	results := w.Do(ctx)
	for {
		var failing []int
		retry := w
		retry.Targets = nil
		for i, r := range results {
			if !r.OK {
				failing = append(failing, i)
				retry.Targets = append(retry.Targets, w.Targets[i])
			}
		}
		if len(failing) == 0 || !pause(ctx, longestPause) {
			return results
		}
		for i, r := range retry.Do(ctx) {
			if r.Attempts > 0 {
				r.Attempts += results[failing[i]].Attempts
				results[failing[i]] = r
			}
		}
	}
}
