package sim

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/neap-project/neap/libs/fleet/place"
)

// The statuses of clusters, services and task definitions.
const (
	statusActive   = "ACTIVE"
	statusInactive = "INACTIVE"
	statusDraining = "DRAINING"
)

// cluster is an ECS cluster and everything in it.
type cluster struct {
	seq       uint64
	name, arn string
	status    string
	tags      []Tag
	settings  []KeyValue
	providers []string
	strategy  []CapacityProviderStrategyItem

	services     map[string]*service // ACTIVE and DRAINING ones, by name
	serviceRoll  roll[*service]
	daemons      []*service // ACTIVE services with the DAEMON strategy, in order of creation
	hosts        map[string]*containerInstance
	past         map[string]*containerInstance // INACTIVE ones that are still described
	hostRoll     roll[*containerInstance]
	tasks        map[string]*task
	taskRoll     roll[*task]
	waiting      []*task // in PROVISIONING without an instance, first come first served
	looking      bool    // for room for them
	running      int
	pending      int
	placement    *place.Cluster
	byNode       map[int]*containerInstance
	inZone       map[string][]*containerInstance
	kinds        map[string]*kind
	attributeSet map[string]*place.Attributes
}

// byName are the services of the cluster by name, for control and truth.
func (c *cluster) byName() []*service {
	list := make([]*service, 0, len(c.services))
	for _, name := range sortedKeys(c.services) {
		list = append(list, c.services[name])
	}
	return list
}

func (c *cluster) order() uint64 { return c.seq }
func (c *cluster) gone() bool    { return c.status == statusInactive }

// ECS allows these in names of clusters, services and families.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,255}$`)

// CreateCluster makes a cluster, or returns the active one of that name.
func (w *World) CreateCluster(in *CreateClusterInput) (*CreateClusterOutput, error) {
	name := in.ClusterName
	if name == "" {
		name = "default"
	}
	if !namePattern.MatchString(name) {
		return nil, invalid("Identifier is not in correct format. Identifier must match the format ^[a-zA-Z0-9\\-_]{1,255}$")
	}
	if c := w.clusters[name]; c != nil && c.status == statusActive {
		return &CreateClusterOutput{Cluster: c.describe(true, true)}, nil
	}
	providers, err := w.associable(nil, in.CapacityProviders)
	if err != nil {
		return nil, err
	}
	c := &cluster{
		seq: w.next(), name: name, arn: w.arn("ecs", "cluster/"+name), status: statusActive,
		tags: sortedTags(in.Tags), settings: slices.Clone(in.Settings),
		providers: providers, strategy: slices.Clone(in.DefaultCapacityProviderStrategy),
		services: map[string]*service{}, hosts: map[string]*containerInstance{}, past: map[string]*containerInstance{}, tasks: map[string]*task{},
		placement: place.New(), byNode: map[int]*containerInstance{}, inZone: map[string][]*containerInstance{}, kinds: map[string]*kind{},
		attributeSet: map[string]*place.Attributes{},
	}
	if err := w.checkProviders(c, c.strategy); err != nil {
		return nil, err
	}
	w.clusters[name] = c
	w.clusterRoll.add(c)
	for _, name := range c.providers {
		w.watch(w.provider(name))
	}
	return &CreateClusterOutput{Cluster: c.describe(true, true)}, nil
}

func (c *cluster) describe(withTags, withSettings bool) Cluster {
	out := Cluster{
		ClusterArn: c.arn, ClusterName: c.name, Status: c.status,
		RegisteredContainerInstancesCount: len(c.hosts),
		RunningTasksCount:                 c.running, PendingTasksCount: c.pending,
		ActiveServicesCount: len(c.services),
		CapacityProviders:   orEmpty(c.providers), DefaultCapacityProviderStrategy: orEmpty(c.strategy),
		Statistics: []KeyValue{}, Tags: []Tag{}, Settings: []KeyValue{},
	}
	if withTags {
		out.Tags = orEmpty(slices.Clone(c.tags))
	}
	if withSettings {
		out.Settings = orEmpty(c.settings)
	}
	return out
}

// orEmpty makes an absent list an empty one, which is what ECS answers.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// DescribeClusters describes clusters by name or ARN; without any, the default one.
func (w *World) DescribeClusters(in *DescribeClustersInput) (*DescribeClustersOutput, error) {
	names := in.Clusters
	if len(names) == 0 {
		names = []string{"default"}
	}
	if len(names) > 100 {
		return nil, invalid("Clusters cannot be more than 100")
	}
	out := &DescribeClustersOutput{Clusters: []Cluster{}, Failures: []Failure{}}
	for _, n := range names {
		c := w.clusters[lastPart(n)]
		if c == nil {
			out.Failures = append(out.Failures, Failure{Arn: w.arn("ecs", "cluster/"+lastPart(n)), Reason: "MISSING"})
			continue
		}
		described := c.describe(slices.Contains(in.Include, "TAGS"), slices.Contains(in.Include, "SETTINGS"))
		if slices.Contains(in.Include, "STATISTICS") {
			described.Statistics = c.statistics()
		}
		out.Clusters = append(out.Clusters, described)
	}
	return out, nil
}

func (c *cluster) statistics() []KeyValue {
	draining := 0
	for s := range c.serviceRoll.all {
		if s.status == statusDraining {
			draining++
		}
	}
	return []KeyValue{
		{"runningEC2TasksCount", strconv.Itoa(c.running)},
		{"runningFargateTasksCount", "0"},
		{"pendingEC2TasksCount", strconv.Itoa(c.pending)},
		{"pendingFargateTasksCount", "0"},
		{"activeEC2ServiceCount", strconv.Itoa(len(c.services) - draining)},
		{"activeFargateServiceCount", "0"},
		{"drainingEC2ServiceCount", strconv.Itoa(draining)},
		{"drainingFargateServiceCount", "0"},
	}
}

// ListClusters lists the active clusters.
func (w *World) ListClusters(in *ListClustersInput) (*ListClustersOutput, error) {
	after, limit, err := ecsPage("clusters", in.NextToken, in.MaxResults, 100, 100)
	if err != nil {
		return nil, err
	}
	page, next := w.clusterRoll.page(after, limit, func(*cluster) bool { return true })
	out := &ListClustersOutput{ClusterArns: []string{}, NextToken: token("clusters", next)}
	for _, c := range page {
		out.ClusterArns = append(out.ClusterArns, c.arn)
	}
	return out, nil
}

// DeleteCluster deletes a cluster that holds nothing any more.
func (w *World) DeleteCluster(in *DeleteClusterInput) (*DeleteClusterOutput, error) {
	c, err := w.cluster(in.Cluster)
	switch {
	case err != nil:
		return nil, err
	case len(c.hosts) > 0:
		return nil, clientError("ClusterContainsContainerInstancesException", "The Cluster cannot be deleted while Container Instances are active or draining.")
	case len(c.services) > 0:
		return nil, clientError("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.")
	case c.running+c.pending > 0:
		return nil, clientError("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.")
	}
	c.status = statusInactive
	w.clusterRoll.bury()
	return &DeleteClusterOutput{Cluster: c.describe(true, true)}, nil
}

// cluster finds an active cluster by name or ARN; "" is the default one.
func (w *World) cluster(name string) (*cluster, error) {
	if name == "" {
		name = "default"
	}
	if c := w.clusters[lastPart(name)]; c != nil && c.status == statusActive {
		return c, nil
	}
	return nil, clientError(codeClusterNotFound, "Cluster not found.")
}

// lastPart is the name or ID in an ARN, or the text itself.
func lastPart(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// inCluster reports whether an ARN (or short ID) of a task, service or container instance
// may belong to a cluster.
func (c *cluster) owns(arn string) bool {
	if !strings.HasPrefix(arn, "arn:") {
		return true
	}
	parts := strings.Split(arn, "/")
	return len(parts) < 3 || parts[1] == c.name // the old ARNs do not tell the cluster
}

// Account settings that change what the world does.
const (
	settingTrunking = "awsvpcTrunking"
	settingEnabled  = "enabled"
)

// accountSettings are the settings that ECS has, with what they are unless set.
var accountSettings = []KeyValue{
	{"awsvpcTrunking", "disabled"},
	{"containerInsights", "disabled"},
	{"containerInstanceLongArnFormat", "enabled"},
	{"serviceLongArnFormat", "enabled"},
	{"taskLongArnFormat", "enabled"},
}

// ListAccountSettings lists the settings of the account. Without EffectiveSettings only
// those that were set are listed.
func (w *World) ListAccountSettings(in *ListAccountSettingsInput) (*ListAccountSettingsOutput, error) {
	out := &ListAccountSettingsOutput{Settings: []AccountSetting{}}
	root := "arn:aws:iam::" + w.cfg.Account + ":root"
	for _, s := range accountSettings {
		value, set := w.settings[s.Name]
		if !set {
			value = s.Value
		}
		if in.Name != "" && in.Name != s.Name || in.Value != "" && in.Value != value || !set && !in.EffectiveSettings {
			continue
		}
		out.Settings = append(out.Settings, AccountSetting{Name: s.Name, Value: value, PrincipalArn: root, Type: "user"})
	}
	return out, nil
}

// PutAccountSetting changes a setting of the account. Instances that registered before
// keep what they have.
func (w *World) PutAccountSetting(in *PutAccountSettingInput) (*PutAccountSettingOutput, error) {
	known := slices.ContainsFunc(accountSettings, func(s KeyValue) bool { return s.Name == in.Name })
	if !known {
		return nil, invalid("Invalid account setting name: %.100s", in.Name)
	}
	switch in.Value {
	case "on":
		in.Value = settingEnabled
	case "off":
		in.Value = "disabled"
	case settingEnabled, "disabled":
	default:
		return nil, invalid("Invalid value %.100s for account setting %s: use enabled or disabled", in.Value, in.Name)
	}
	w.settings[in.Name] = in.Value
	return &PutAccountSettingOutput{Setting: AccountSetting{
		Name: in.Name, Value: in.Value, PrincipalArn: "arn:aws:iam::" + w.cfg.Account + ":root", Type: "user",
	}}, nil
}
