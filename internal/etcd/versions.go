package etcd

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Versions is what an upgrade asks of a member.
type Versions interface {
	// ClusterVersion is the minor at which the members work together, such as "3.6"; empty while etcd has not decided
	// it. etcd raises it when every member, also one that does not vote, reports a later minor, and never lowers it but
	// in a downgrade.
	ClusterVersion(ctx context.Context) (string, error)
	// OwnMembers lists the members as this one has them, without asking the others. A learner refuses.
	OwnMembers(ctx context.Context) (MemberList, error)
}

// ClusterVersion implements Versions.
func (c *memberClient) ClusterVersion(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url+"/version", nil)
	if err != nil {
		return "", c.failed("version", err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return "", c.failed("version", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	if response.StatusCode != http.StatusOK {
		return "", c.failed("version", fmt.Errorf("answered with %s", response.Status))
	}
	var versions struct {
		Cluster string `json:"etcdcluster"`
	}
	const enough = 1 << 16
	if err := json.NewDecoder(io.LimitReader(response.Body, enough)).Decode(&versions); err != nil {
		return "", c.failed("version", err)
	}
	return minorNumber(versions.Cluster), nil
}

// minorNumber is "3.6" of "3.6.0"; empty for what is no version: etcd says "not_decided" until it has one.
func minorNumber(version string) string {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) != 3 {
		return ""
	}
	return parts[0] + "." + parts[1]
}

// httpClient speaks to the same port as gRPC does. It is used so rarely that no connection is kept.
func httpClient(t Target, credentials *tls.Config) (client *http.Client, url string) {
	transport := &http.Transport{DisableKeepAlives: true}
	if credentials == nil {
		return &http.Client{Transport: transport}, "http://" + t.Address
	}
	transport.TLSClientConfig = credentials.Clone()
	transport.TLSClientConfig.ServerName = t.ServerName
	return &http.Client{Transport: transport}, "https://" + t.Address
}

// OwnMembers implements Versions.
func (c *memberClient) OwnMembers(ctx context.Context) (MemberList, error) {
	ctx, cancel := c.begin(ctx, statusTimeout)
	defer cancel()
	r, err := c.etcd.MemberList(ctx, clientv3.WithSerializable())
	if err != nil {
		return MemberList{}, c.failed("own member list", classify(err))
	}
	return memberList(r.Header.GetClusterId(), r.Members), nil
}

func memberList(cluster uint64, members []*etcdserverpb.Member) MemberList {
	list := MemberList{ClusterID: cluster, Members: make([]Member, 0, len(members))}
	for _, m := range members {
		list.Members = append(list.Members, Member{
			ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, Learner: m.IsLearner,
		})
	}
	return list
}
