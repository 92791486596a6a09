package agentimage

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
)

// digestLength is 128 bits in hexadecimal: enough to rule out two images with the
// same digest, and short enough for a line of `docker ps`.
const digestLength = 32

// contentDigest is a digest of everything in an image: its configuration, the format
// of its layer, and the binary. It is not the image's ID, because the image's label
// contains the digest.
func contentDigest(image Archive, binary io.Reader) (string, error) {
	content := sha256.New()
	if err := image.writeLayer(content); err != nil { // without the binary, which follows
		return "", err
	}
	if _, err := io.Copy(content, binary); err != nil {
		return "", err
	}
	config, err := image.configOf(hex.EncodeToString(content.Sum(nil)))
	if err != nil {
		return "", err
	}
	return hexSum(config)[:digestLength], nil
}
