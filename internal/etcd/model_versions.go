package etcd

import (
	"context"
	"strconv"
)

// The methods of Versions.
const (
	MethodClusterVersion Method = "ClusterVersion"
	MethodOwnMembers     Method = "OwnMembers"
)

// ClusterVersion implements Versions. Any member that serves answers it, a learner too.
func (c modelClient) ClusterVersion(ctx context.Context) (minor string, err error) {
	err = c.call(ctx, Call{Method: MethodClusterVersion}, func(p *process) error {
		if p.disk.view.minor != 0 {
			minor = "3." + strconv.Itoa(p.disk.view.minor)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return minor, nil
}

// OwnMembers implements Versions.
func (c modelClient) OwnMembers(ctx context.Context) (list MemberList, err error) {
	err = c.call(ctx, Call{Method: MethodOwnMembers}, func(p *process) error {
		list = p.disk.list()
		return nil
	})
	if err != nil {
		return MemberList{}, err
	}
	return list, nil
}

// list is the member list as the data directory has it.
func (d *disk) list() MemberList {
	list := MemberList{ClusterID: d.cluster}
	for _, m := range d.view.members {
		member := Member{ID: m.id, Name: m.name, PeerURLs: []string{m.peerURL}, Learner: m.learner}
		if m.clientURL != "" {
			member.ClientURLs = []string{m.clientURL}
		}
		list.Members = append(list.Members, member)
	}
	return list
}
