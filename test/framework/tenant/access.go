package tenant

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// access is how clients of the tenant's API server identify themselves. It has nothing to do with the datastore.
type access struct {
	dir string
	// admin and controllers are the tokens of the administrator and of kube-controller-manager.
	admin, controllers string
}

// newAccess makes tokens and the key that signs those of service accounts.
func newAccess(dir string) (access, error) {
	a := access{dir: dir, admin: uuid.NewString(), controllers: uuid.NewString()}
	tokens := fmt.Sprintf("%s,admin,admin,system:masters\n%s,system:kube-controller-manager,controllers\n",
		a.admin, a.controllers)
	if err := os.WriteFile(a.tokenFile(), []byte(tokens), 0o600); err != nil {
		return access{}, fmt.Errorf("write tokens: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return access{}, fmt.Errorf("make the key of service accounts: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return access{}, fmt.Errorf("make the key of service accounts: %w", err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(a.serviceAccountKey(), block, 0o600); err != nil {
		return access{}, fmt.Errorf("write the key of service accounts: %w", err)
	}
	return a, nil
}

func (a access) tokenFile() string { return filepath.Join(a.dir, "tokens.csv") }

func (a access) serviceAccountKey() string { return filepath.Join(a.dir, "service-accounts.key") }

// certificates is where the API server keeps the serving certificate that it makes itself.
func (a access) certificates() string { return filepath.Join(a.dir, "serving") }

// authority is the certificate by which clients know the API server; it is there once the server has started.
func (a access) authority() string { return filepath.Join(a.certificates(), "apiserver.crt") }

// writeKubeconfig writes a kubeconfig for the token and returns its path.
func (a access) writeKubeconfig(user, server, token string) (string, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["tenant"] = &clientcmdapi.Cluster{Server: server, CertificateAuthority: a.authority()}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["tenant"] = &clientcmdapi.Context{Cluster: "tenant", AuthInfo: user}
	config.CurrentContext = "tenant"
	path := filepath.Join(a.dir, user+".kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return path, nil
}
