package cloud

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	"github.com/neap-project/neap/libs/fleet"
)

// PolicyDocument is an IAM policy, in the language of IAM.
type PolicyDocument struct {
	Version   string
	Statement []PolicyStatement
}

// PolicyStatement allows actions on resources, under conditions.
type PolicyStatement struct {
	Sid       string
	Effect    string
	Action    []string
	Resource  []string
	Condition map[string]map[string][]string `json:",omitempty"`
}

// PermissionScope is what policies are narrowed to. A field that is empty is any.
type PermissionScope struct {
	Partition, Region, Account string
	Clusters                   []string // ECS clusters by name
	Installation               string   // as in the tag neap.dev/owner
	NodeRole                   string   // name of the role that instances run under
	Queue                      string   // name of the SQS queue with events
}

// Policies returns the IAM policy of each service that calls AWS, by the name of the
// service. One that is not there, such as the planner, needs none. Each allows what the
// interfaces of its face (calls.go) can call, and no more.
func Policies(scope PermissionScope) (map[string]PolicyDocument, error) {
	policies := map[string]PolicyDocument{}
	for name, face := range map[string]reflect.Type{
		"watcher": reflect.TypeFor[Reader](), "actuator": reflect.TypeFor[Launcher](), "drainer": reflect.TypeFor[Drainer](),
	} {
		document, err := policyOf(operationsOf(face), scope.rules())
		if err != nil {
			return nil, fmt.Errorf("policy of the %s: %w", name, err)
		}
		policies[name] = document
	}
	return policies, nil
}

// operationsOf are the operations that a face can call, such as ecs:ListTasks, in order:
// those of the interfaces in its fields, and in the fields of its parts.
func operationsOf(face reflect.Type) []string {
	found := map[string]bool{}
	for _, field := range reflect.VisibleFields(face) {
		switch {
		case field.Type.Kind() == reflect.Struct && field.Type.PkgPath() == face.PkgPath():
			for _, operation := range operationsOf(field.Type) {
				found[operation] = true
			}
		case field.Type.Kind() == reflect.Interface:
			for i := range field.Type.NumMethod() {
				if operation, ok := operationOf(field.Type.Method(i)); ok {
					found[operation] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// operationOf reads the operation off a method of an SDK client: (ctx, *ecs.ListTasksInput, …).
func operationOf(m reflect.Method) (string, bool) {
	const input = 1
	if m.Type.NumIn() <= input || m.Type.In(input).Kind() != reflect.Pointer {
		return "", false
	}
	of := m.Type.In(input).Elem().PkgPath()
	if !strings.Contains(of, "/aws-sdk-go-v2/service/") {
		return "", false
	}
	return path.Base(of) + ":" + m.Name, true // packages of the SDK are named as IAM names services
}

// permission says what a call needs: the operations that call for it, the actions if IAM
// has other names for them, and what they are narrowed to.
type permission struct {
	sid        string
	operations []string
	actions    []string // the operations themselves, if empty
	resources  []string
	condition  map[string]map[string][]string
}

// policyOf collects what operations need. An operation that no permission knows is a bug.
func policyOf(operations []string, permissions []permission) (PolicyDocument, error) {
	document := PolicyDocument{Version: "2012-10-17"} // of the language of IAM, not of this policy
	known := map[string]bool{}
	for i := range permissions {
		p := &permissions[i]
		var needed []string
		for _, operation := range p.operations {
			if slices.Contains(operations, operation) {
				known[operation] = true
				needed = append(needed, operation)
			}
		}
		if len(needed) == 0 {
			continue
		}
		if len(p.actions) > 0 {
			needed = p.actions
		}
		document.Statement = append(document.Statement, PolicyStatement{
			Sid: p.sid, Effect: "Allow", Action: needed, Resource: p.resources, Condition: p.condition,
		})
	}
	for _, operation := range operations {
		if !known[operation] {
			return document, fmt.Errorf("%w: nothing says which permission %s needs", fleet.ErrInvalid, operation)
		}
	}
	return document, nil
}

// rules are all permissions, narrowed to a scope. Which resources and condition keys an
// action knows is told by the Service Authorization Reference of AWS; what it does not know
// may not be asked of it, or the statement never matches.
func (s PermissionScope) rules() []permission {
	clusters := s.clusterARNs()
	inCluster := when("ArnLike", "ecs:cluster", clusters...)
	return slices.Concat([]permission{
		{sid: "ReadRegion", resources: []string{"*"}, operations: []string{ // none of these knows a narrower resource, but for what is public anyway
			"ec2:DescribeImages", "ec2:DescribeInstanceAttribute", "ec2:DescribeInstances", "ec2:DescribeInstanceStatus",
			"ec2:DescribeInstanceTypeOfferings", "ec2:DescribeInstanceTypes", "ec2:DescribeLaunchTemplateVersions",
			"ec2:DescribeSpotPriceHistory", "ec2:DescribeSubnets", "ecs:DescribeCapacityProviders", "ecs:DescribeTaskDefinition", "pricing:GetProducts",
		}},
		{sid: "ReadParameters", resources: []string{s.arn("ssm", "parameter/*")}, operations: []string{"ssm:GetParameters"}},
		{sid: "ReadCluster", resources: clusters, operations: []string{"ecs:DescribeClusters", "ecs:ListContainerInstances"}},
		{sid: "ReadInCluster", resources: []string{"*"}, condition: inCluster, operations: []string{
			"ecs:DescribeContainerInstances", "ecs:DescribeServices", "ecs:DescribeTasks", "ecs:GetTaskProtection", "ecs:ListServices", "ecs:ListTasks",
		}},
		{
			sid: "HearEvents", resources: []string{s.arn("sqs", cmp.Or(s.Queue, "*"))},
			operations: []string{"sqs:DeleteMessageBatch", "sqs:ReceiveMessage"}, actions: []string{"sqs:DeleteMessage", "sqs:ReceiveMessage"},
		},
		{sid: "StampAttributes", resources: []string{"*"}, condition: inCluster, operations: []string{"ecs:PutAttributes"}},
		{sid: "DrainInCluster", resources: []string{"*"}, condition: inCluster, operations: []string{"ecs:StopTask", "ecs:UpdateContainerInstancesState"}},
		{sid: "Deregister", resources: clusters, operations: []string{"ecs:DeregisterContainerInstance"}},
	}, s.launchRules(), s.instanceRules())
}

// launchRules are what CreateFleet and its launch template need. Everything that it makes
// is tagged as ours at once, and nothing else may be tagged.
func (s PermissionScope) launchRules() []permission {
	const createFleet, createTemplate = "ec2:CreateFleet", "ec2:CreateLaunchTemplate"
	tagged, ours := s.tags("aws:RequestTag/"), s.tags("aws:ResourceTag/")
	templates := s.arn("ec2", "launch-template/*")
	images := "arn:" + cmp.Or(s.Partition, "*") + ":ec2:" + cmp.Or(s.Region, "*") // images and snapshots may be others' and have no account
	launch := []string{createFleet, "ec2:RunInstances"}
	both := []string{createFleet, createTemplate}
	return []permission{
		{sid: "CreateTemplate", operations: []string{createTemplate}, resources: []string{templates}, condition: tagged},
		{sid: "LaunchTagged", operations: both[:1], actions: launch, condition: tagged, resources: []string{
			s.arn("ec2", "fleet/*"), s.arn("ec2", "instance/*"), s.arn("ec2", "volume/*"),
		}},
		{sid: "LaunchFromOwnTemplate", operations: both[:1], actions: launch, resources: []string{templates}, condition: ours},
		{sid: "LaunchWith", operations: both[:1], actions: launch, resources: []string{
			images + "::image/*", images + "::snapshot/*", images + ":*:snapshot/*", s.arn("ec2", "key-pair/*"), s.arn("ec2", "network-interface/*"),
			s.arn("ec2", "security-group/*"), s.arn("ec2", "spot-instances-request/*"), s.arn("ec2", "subnet/*"),
		}},
		{
			sid: "TagWhatIsLaunched", operations: both, actions: []string{"ec2:CreateTags"},
			resources: []string{s.arn("ec2", "fleet/*"), s.arn("ec2", "instance/*"), templates, s.arn("ec2", "volume/*")},
			condition: with(tagged, when("StringEquals", "ec2:CreateAction", "CreateFleet", "CreateLaunchTemplate", "RunInstances")),
		},
		{
			sid: "PassNodeRole", operations: both[:1], actions: []string{"iam:PassRole"},
			resources: []string{fmt.Sprintf("arn:%s:iam::%s:role/%s", cmp.Or(s.Partition, "*"), cmp.Or(s.Account, "*"), cmp.Or(s.NodeRole, "*"))},
			condition: when("StringLike", "iam:PassedToService", "ec2.amazonaws.com*"), // ec2.amazonaws.com.cn in China
		},
	}
}

// instanceRules are what ends instances: ours only, by their tags, of which it may change
// the one that says that it is at it.
func (s PermissionScope) instanceRules() []permission {
	instances, ours := []string{s.arn("ec2", "instance/*")}, s.tags("aws:ResourceTag/")
	return []permission{
		{sid: "TerminateOwn", operations: []string{"ec2:TerminateInstances"}, resources: instances, condition: ours},
		{
			sid: "MarkOwn", operations: []string{"ec2:CreateTags", "ec2:DeleteTags"}, resources: instances,
			condition: with(ours, when("ForAllValues:StringEquals", "aws:TagKeys", fleet.TagDrain)),
		},
	}
}

// arn is that of resources of a service, in the scope's region and account. A star also
// stands for nothing, as in the public parameters of SSM, which no account has.
func (s PermissionScope) arn(service, resource string) string {
	account := cmp.Or(s.Account, "*")
	if service == "ssm" {
		account = "*"
	}
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", cmp.Or(s.Partition, "*"), service, cmp.Or(s.Region, "*"), account, resource)
}

func (s PermissionScope) clusterNames() []string {
	if len(s.Clusters) == 0 {
		return []string{"*"}
	}
	return s.Clusters
}

func (s PermissionScope) clusterARNs() []string {
	var arns []string
	for _, name := range s.clusterNames() {
		arns = append(arns, s.arn("ecs", "cluster/"+name))
	}
	return arns
}

// tags asks for the tags that make a thing ours. A star asks for some value: without the
// tag it does not match.
func (s PermissionScope) tags(key string) map[string]map[string][]string {
	return map[string]map[string][]string{"StringLike": {
		key + fleet.TagOwner:   {cmp.Or(s.Installation, "*")},
		key + fleet.TagCluster: s.clusterNames(),
	}}
}

func when(operator, key string, values ...string) map[string]map[string][]string {
	return map[string]map[string][]string{operator: {key: values}}
}

// with joins two conditions on different operators: both must hold.
func with(a, b map[string]map[string][]string) map[string]map[string][]string {
	joined := maps.Clone(a)
	maps.Copy(joined, b)
	return joined
}
