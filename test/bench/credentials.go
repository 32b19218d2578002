package main

import (
	"context"
	"crypto/tls"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/internal/pki"
)

// keyCA is the key of a Secret under which the CAs are that its reader is to believe.
const keyCA = "ca.crt"

// credentials are what a client shows the members and whom it believes, PEM encoded. The zero value speaks plain text.
type credentials struct {
	CA   []byte `json:"ca,omitempty"`
	Cert []byte `json:"cert,omitempty"`
	Key  []byte `json:"key,omitempty"`
}

func (c credentials) plain() bool { return len(c.CA) == 0 }

// config leaves open the name that servers must have.
func (c credentials) config() (*tls.Config, error) {
	certificate, err := tls.X509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("the client's certificate: %w", err)
	}
	trusted, err := pki.ParseBundle(c.CA)
	if err != nil {
		return nil, fmt.Errorf("the client's CA: %w", err)
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{certificate},
		RootCAs:      trusted.Pool(),
	}, nil
}

// credentialSource gives a client's credentials; an error while there are none yet.
type credentialSource func(context.Context) (credentials, error)

// plainText needs none.
func plainText(context.Context) (credentials, error) { return credentials{}, nil }

// published are the credentials in a Secret that the operator makes. The reader is a cache: they are asked for in every
// tick until they exist.
func published(secrets client.Reader, secret client.ObjectKey) credentialSource {
	return func(ctx context.Context) (credentials, error) {
		var s corev1.Secret
		if err := secrets.Get(ctx, secret, &s); err != nil {
			return credentials{}, fmt.Errorf("read the client's certificate: %w", err)
		}
		c := credentials{CA: s.Data[keyCA], Cert: s.Data[corev1.TLSCertKey], Key: s.Data[corev1.TLSPrivateKeyKey]}
		if c.plain() {
			return c, fmt.Errorf("the Secret %s lacks the key %s", secret, keyCA)
		}
		return c, nil
	}
}
