package connection

import (
	"bytes"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/nestprobe/docker-nestprobe/plugin/enginetest/endpointtest"
)

// TestMaterialFaults has TLS files from which no client can be made.
func TestMaterialFaults(t *testing.T) {
	t.Parallel()
	ca := endpointtest.NewAuthority(t, "ca")
	good, other := ca.Client(t), ca.Client(t)
	const locked = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\naHVzaA==\n-----END EC PRIVATE KEY-----\n"
	const lockedPKCS8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVzaA==\n-----END ENCRYPTED PRIVATE KEY-----\n"
	for name, test := range map[string]struct {
		material TLS
		sentence string
	}{
		"no CA in ca.pem":            {TLS{CA: []byte("hush")}, "ca.pem seems invalid"},
		"no key in key.pem":          {TLS{CA: ca.PEM, Cert: good.Cert, Key: []byte("hush")}, "key.pem holds no key"},
		"a key with a password":      {TLS{CA: ca.PEM, Cert: good.Cert, Key: []byte(locked)}, "key.pem is encrypted"},
		"a PKCS #8 key with one":     {TLS{CA: ca.PEM, Cert: good.Cert, Key: []byte(lockedPKCS8)}, "key.pem is encrypted"},
		"another certificate's key":  {TLS{CA: ca.PEM, Cert: good.Cert, Key: other.Key}, "private key does not match"},
		"no certificate in cert.pem": {TLS{CA: ca.PEM, Cert: []byte("hush"), Key: good.Key}, "client certificate: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := connectFails(t, NewSettings("test", "tcp://127.0.0.1:1", WithTLS(test.material)))
			endpointtest.WantFault(t, err, EngineUnreachable, test.sentence, "phase reached: settings")
			assert.Assert(t, !bytes.Contains([]byte(err.Error()), []byte("hush")))
		})
	}
	// One file of a pair is ignored, as with docker.
	config, err := TLS{CA: ca.PEM, Cert: good.Cert}.Config()
	assert.NilError(t, err)
	assert.Equal(t, len(config.Certificates), 0)
	config, err = TLS{SkipVerify: true}.Config()
	assert.NilError(t, err)
	assert.Assert(t, config.InsecureSkipVerify && config.RootCAs == nil)
}
