package tenant

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/quorate/quorate/api/v1alpha1"
	"github.com/quorate/quorate/internal/resources"
)

// Keys of the client Secret.
const (
	caFile   = "ca.crt"
	certFile = "tls.crt"
	keyFile  = "tls.key"
)

// secretSyncPeriod is how soon a changed Secret reaches the files: the kubelet's mounts take up to a minute.
const secretSyncPeriod = time.Second

// Datastore is what the operator publishes of an EtcdCluster: where its members serve, and by which certificates.
type Datastore struct {
	// Endpoints are status.endpoints.
	Endpoints []string

	reader client.Reader
	name   types.NamespacedName
	// secret is that of the clients; empty when the members speak plain text.
	secret types.NamespacedName
	dir    string
}

// ReadDatastore reads what is published of an EtcdCluster and writes the client Secret to files below dir.
func ReadDatastore(
	ctx context.Context, reader client.Reader, name types.NamespacedName, dir string,
) (*Datastore, error) {
	c := &v1alpha1.EtcdCluster{}
	if err := reader.Get(ctx, name, c); err != nil {
		return nil, fmt.Errorf("find the datastore: %w", err)
	}
	d := &Datastore{Endpoints: c.Status.Endpoints, reader: reader, name: name, dir: dir}
	secure, err := secure(d.Endpoints)
	if err != nil {
		return nil, fmt.Errorf("EtcdCluster %s: %w", name, err)
	}
	if !secure {
		return d, nil
	}
	if c.Status.TLS == nil || ptr.Deref(c.Status.TLS.ClientSecret, "") == "" {
		return nil, fmt.Errorf("EtcdCluster %s serves https, but status.tls.clientSecret names no Secret for clients", name)
	}
	d.secret = types.NamespacedName{Namespace: name.Namespace, Name: *c.Status.TLS.ClientSecret}
	return d, d.Refresh(ctx)
}

// secure tells whether all endpoints are https; a mixture is an error.
func secure(endpoints []string) (bool, error) {
	if len(endpoints) == 0 {
		return false, errors.New("status.endpoints is empty")
	}
	https := 0
	for _, endpoint := range endpoints {
		if strings.HasPrefix(endpoint, "https://") {
			https++
		}
	}
	if https != 0 && https != len(endpoints) {
		return false, fmt.Errorf("status.endpoints mixes http and https: %v", endpoints)
	}
	return https > 0, nil
}

// Secure tells whether the members speak TLS.
func (d *Datastore) Secure() bool { return d.secret.Name != "" }

// ServiceEndpoint is the Service in front of all voters.
func (d *Datastore) ServiceEndpoint() string {
	scheme := "http"
	if d.Secure() {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s.%s.svc:%d",
		scheme, resources.ClientServiceName(d.name.Name), d.name.Namespace, resources.ClientPort)
}

// File is the path of one of the Secret's keys.
func (d *Datastore) File(key string) string { return filepath.Join(d.dir, "current", key) }

// APIServerFlags are those by which a kube-apiserver uses the datastore.
func (d *Datastore) APIServerFlags() []string {
	flags := []string{"--etcd-servers=" + strings.Join(d.Endpoints, ",")}
	if !d.Secure() {
		return flags
	}
	return append(flags,
		"--etcd-cafile="+d.File(caFile), "--etcd-certfile="+d.File(certFile), "--etcd-keyfile="+d.File(keyFile))
}

// EtcdctlFlags are those by which etcdctl reaches an endpoint of the datastore.
func (d *Datastore) EtcdctlFlags(endpoint string) []string {
	flags := []string{"--endpoints=" + endpoint}
	if !d.Secure() {
		return flags
	}
	return append(flags, "--cacert="+d.File(caFile), "--cert="+d.File(certFile), "--key="+d.File(keyFile))
}

// Refresh brings the files to what the client Secret holds, all at once as the kubelet does it for a mounted Secret.
func (d *Datastore) Refresh(ctx context.Context) error {
	if !d.Secure() {
		return nil
	}
	secret := &corev1.Secret{}
	if err := d.reader.Get(ctx, d.secret, secret); err != nil {
		return fmt.Errorf("read the client Secret: %w", err)
	}
	version := filepath.Join(d.dir, "version-"+secret.ResourceVersion)
	if _, err := os.Stat(version); err == nil {
		return nil
	}
	for _, key := range []string{caFile, certFile, keyFile} {
		if len(secret.Data[key]) == 0 {
			return fmt.Errorf("the client Secret %s has no %s", d.secret, key)
		}
	}
	if err := d.publish(version, secret.Data); err != nil {
		return fmt.Errorf("write the client Secret to files: %w", err)
	}
	return nil
}

func (d *Datastore) publish(version string, data map[string][]byte) error {
	temporary := version + ".tmp"
	if err := os.MkdirAll(temporary, 0o700); err != nil {
		return err
	}
	for _, key := range []string{caFile, certFile, keyFile} {
		if err := os.WriteFile(filepath.Join(temporary, key), data[key], 0o600); err != nil {
			return err
		}
	}
	if err := os.Rename(temporary, version); err != nil {
		return err
	}
	link := filepath.Join(d.dir, "next")
	if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Base(version), link); err != nil {
		return err
	}
	return os.Rename(link, filepath.Join(d.dir, "current"))
}

// follow keeps the files at what the Secret holds until the context ends.
func (d *Datastore) follow(ctx context.Context, failed func(error)) {
	ticker := time.NewTicker(secretSyncPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := d.Refresh(ctx); err != nil && ctx.Err() == nil {
				failed(err)
			}
		}
	}
}
