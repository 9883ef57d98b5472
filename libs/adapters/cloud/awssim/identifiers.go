package awssim

import (
	"encoding/json"
	"strings"

	"github.com/neap-project/neap/libs/fleet/sim"
)

// identified are the members with which a request to ECS names things, by name or ARN.
type identified struct {
	Cluster            string   `json:"cluster"`
	Service            string   `json:"service"`
	Services           []string `json:"services"`
	Task               string   `json:"task"`
	Tasks              []string `json:"tasks"`
	ContainerInstance  string   `json:"containerInstance"`
	ContainerInstances []string `json:"containerInstances"`
	TaskDefinition     string   `json:"taskDefinition"`
}

// checkIdentifiers refuses ARNs that are malformed, name another type of thing, or belong
// to another account, region or cluster than the request.
func (s *Server) checkIdentifiers(c *call) *apiError {
	if c.service.name != "ecs" || !strings.Contains(string(c.body), "arn:") {
		return nil
	}
	var in identified
	if json.Unmarshal(c.body, &in) != nil {
		return nil //nolint:nilerr // the operation has members of these names with other types
	}
	s.mu.Lock()
	world := s.world
	s.mu.Unlock()
	cluster := in.Cluster[strings.LastIndexByte(in.Cluster, '/')+1:]
	if cluster == "" {
		cluster = "default"
	}
	for _, ids := range []struct {
		kind string
		ids  []string
	}{
		{"cluster", []string{in.Cluster}},
		{"service", append(in.Services, in.Service)},
		{"task", append(in.Tasks, in.Task)},
		{"container-instance", append(in.ContainerInstances, in.ContainerInstance)},
		{"task-definition", []string{in.TaskDefinition}},
	} {
		for _, id := range ids.ids {
			if err := checkARN(world, id, ids.kind, cluster); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkARN checks an identifier that may be an ARN.
func checkARN(world *sim.World, id, kind, cluster string) *apiError {
	if !strings.HasPrefix(id, "arn:") {
		return nil
	}
	const parts = 6 // arn:aws:ecs:region:account:resource
	part := strings.SplitN(id, ":", parts)
	if len(part) < parts || part[2] != "ecs" {
		return fault("InvalidParameterException", "Invalid identifier: %s", clip(id))
	}
	path := strings.Split(part[5], "/")
	switch {
	case len(path) < 2 || len(path) > 3:
		return fault("InvalidParameterException", "Invalid identifier: Unexpected number of separators")
	case path[0] != kind:
		return fault("InvalidParameterException", "Invalid identifier: Unexpected resource type %s, expected %s.", clip(path[0]), kind)
	case part[3] != world.Region():
		return fault("InvalidParameterException", "Invalid identifier: Identifier is for %s. Your region is %s", clip(part[3]), world.Region())
	case part[4] != world.Account():
		return fault("InvalidParameterException", "Invalid identifier: Identifier is for %s. Your accountId is %s", clip(part[4]), world.Account())
	case len(path) == 3 && path[1] != cluster:
		return fault("InvalidParameterException", "Invalid identifier: Identifier is for %s. Your cluster is %s", clip(path[1]), clip(cluster))
	}
	return nil
}
