package framework

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// secretTimeout bounds the reading of a Secret in the middle of a handshake.
const secretTimeout = 5 * time.Second

// ClientTLS is the configuration of a client of the cluster that holds what the Secret NAME-client-tls holds, and loads
// it anew at each handshake. It is nil when the cluster speaks plain text.
func (e *Environment) ClientTLS(
	ctx context.Context, cluster types.NamespacedName, serverName string,
) (*tls.Config, error) {
	var obj v1alpha1.EtcdCluster
	if err := e.Client.Get(ctx, cluster, &obj); err != nil {
		return nil, fmt.Errorf("read EtcdCluster %s: %w", cluster, err)
	}
	if !resources.SpeaksTLS(&obj) {
		return nil, nil //nolint:nilnil // plain text has no configuration
	}
	return e.TLSFrom(ctx, types.NamespacedName{
		Namespace: cluster.Namespace, Name: resources.ClientSecretName(cluster.Name),
	}, serverName)
}

// TLSFrom is ClientTLS with another Secret.
func (e *Environment) TLSFrom(
	ctx context.Context, secret types.NamespacedName, serverName string,
) (*tls.Config, error) {
	load := func(ctx context.Context) (tls.Certificate, *x509.CertPool, error) {
		ctx, cancel := context.WithTimeout(ctx, secretTimeout)
		defer cancel()
		return e.loadCertificate(ctx, secret)
	}
	if _, _, err := load(ctx); err != nil {
		return nil, err
	}
	background := context.WithoutCancel(ctx)
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate, _, err := load(background)
			return &certificate, err
		},
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies, with the CAs of the time
		VerifyConnection: func(conn tls.ConnectionState) error {
			_, roots, err := load(background)
			if err != nil {
				return err
			}
			_, err = conn.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: serverName, Roots: roots})
			return err
		},
	}, nil
}

func (e *Environment) loadCertificate(
	ctx context.Context, name types.NamespacedName,
) (tls.Certificate, *x509.CertPool, error) {
	var s corev1.Secret
	if err := e.Client.Get(ctx, name, &s); err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	certificate, err := tls.X509KeyPair(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return certificate, nil, fmt.Errorf("the Secret %s: %w", name, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.Data["ca.crt"]) {
		return certificate, nil, errors.New("Secret " + name.String() + " holds no CA")
	}
	return certificate, roots, nil
}
