package agentimage

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"runtime"

	"golang.org/x/sync/errgroup"
)

const (
	// digestLength is 128 bits in hexadecimal: too many for an accident, and
	// short enough for a line of `docker ps`.
	digestLength = 32

	// partSize spreads the hashing of one binary over the processors. It is
	// done on every run, and costs 4 ms for 6.4 MB on one processor.
	partSize = 1 << 20
)

// contentDigest stands for everything in an image: its configuration, the way
// in which its layer is written, and the binary. It is not the image's ID: that
// takes a hash of the whole layer in one go.
func contentDigest(image Archive, binary fs.File) (string, error) {
	info, err := binary.Stat()
	if err != nil {
		return "", err
	}
	content, ok := binary.(io.ReaderAt)
	if !ok {
		return "", errors.New("it cannot be read in parts")
	}
	layer := sha256.New()
	if err = image.writeLayer(layer); err != nil { // without the binary so far
		return "", err
	}
	sums, err := partSums(content, info.Size())
	if err != nil {
		return "", err
	}
	for _, sum := range sums {
		layer.Write(sum[:])
	}
	config, err := image.configOf(hex.EncodeToString(layer.Sum(nil)))
	if err != nil {
		return "", err
	}
	return hexSum(config)[:digestLength], nil
}

func partSums(content io.ReaderAt, size int64) ([][sha256.Size]byte, error) {
	sums := make([][sha256.Size]byte, (size+partSize-1)/partSize)
	var parts errgroup.Group
	parts.SetLimit(runtime.GOMAXPROCS(0))
	for i := range sums {
		parts.Go(func() error {
			sum := sha256.New()
			_, err := io.Copy(sum, io.NewSectionReader(content, int64(i)*partSize, partSize))
			sum.Sum(sums[i][:0])
			return err
		})
	}
	return sums, parts.Wait()
}
