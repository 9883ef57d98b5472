package sim

// The inputs and outputs of the ECS operations, with the json names of the API.

// CreateClusterInput is the request of CreateCluster.
type CreateClusterInput struct {
	ClusterName                     string                         `json:"clusterName"` // default "default"
	Tags                            []Tag                          `json:"tags"`
	Settings                        []KeyValue                     `json:"settings"`
	CapacityProviders               []string                       `json:"capacityProviders"`
	DefaultCapacityProviderStrategy []CapacityProviderStrategyItem `json:"defaultCapacityProviderStrategy"`
}

// CreateClusterOutput is the answer of CreateCluster.
type CreateClusterOutput struct {
	Cluster Cluster `json:"cluster"`
}

// DescribeClustersInput is the request of DescribeClusters. Include: STATISTICS, SETTINGS,
// TAGS, ATTACHMENTS, CONFIGURATIONS.
type DescribeClustersInput struct {
	Clusters []string `json:"clusters"`
	Include  []string `json:"include"`
}

// DescribeClustersOutput is the answer of DescribeClusters.
type DescribeClustersOutput struct {
	Clusters []Cluster `json:"clusters"`
	Failures []Failure `json:"failures"`
}

// ListClustersInput is the request of ListClusters.
type ListClustersInput struct {
	MaxResults int    `json:"maxResults"`
	NextToken  string `json:"nextToken"`
}

// ListClustersOutput is the answer of ListClusters.
type ListClustersOutput struct {
	ClusterArns []string `json:"clusterArns"`
	NextToken   string   `json:"nextToken,omitempty"`
}

// DeleteClusterInput is the request of DeleteCluster.
type DeleteClusterInput struct {
	Cluster string `json:"cluster"`
}

// DeleteClusterOutput is the answer of DeleteCluster.
type DeleteClusterOutput struct {
	Cluster Cluster `json:"cluster"`
}

// RegisterTaskDefinitionInput is the request of RegisterTaskDefinition.
type RegisterTaskDefinitionInput struct {
	Family                  string                `json:"family"`
	TaskRoleArn             string                `json:"taskRoleArn"`
	ExecutionRoleArn        string                `json:"executionRoleArn"`
	NetworkMode             string                `json:"networkMode"`
	ContainerDefinitions    []ContainerDefinition `json:"containerDefinitions"`
	PlacementConstraints    []PlacementConstraint `json:"placementConstraints"`
	RequiresCompatibilities []string              `json:"requiresCompatibilities"`
	CPU                     string                `json:"cpu"`
	Memory                  string                `json:"memory"`
	Tags                    []Tag                 `json:"tags"`
	RuntimePlatform         *RuntimePlatform      `json:"runtimePlatform"`
	Volumes                 []TaskVolume          `json:"volumes"`
	PidMode                 string                `json:"pidMode"`
	IpcMode                 string                `json:"ipcMode"`
	ProxyConfiguration      *ProxyConfiguration   `json:"proxyConfiguration"`
	EnableFaultInjection    bool                  `json:"enableFaultInjection"`
}

// RegisterTaskDefinitionOutput is the answer of RegisterTaskDefinition.
type RegisterTaskDefinitionOutput struct {
	TaskDefinition TaskDefinition `json:"taskDefinition"`
	Tags           []Tag          `json:"tags,omitempty"`
}

// DescribeTaskDefinitionInput is the request of DescribeTaskDefinition. TaskDefinition is
// a family, family:revision or an ARN. Include: TAGS.
type DescribeTaskDefinitionInput struct {
	TaskDefinition string   `json:"taskDefinition"`
	Include        []string `json:"include"`
}

// DescribeTaskDefinitionOutput is the answer of DescribeTaskDefinition.
type DescribeTaskDefinitionOutput struct {
	TaskDefinition TaskDefinition `json:"taskDefinition"`
	Tags           []Tag          `json:"tags,omitempty"`
}

// DeregisterTaskDefinitionInput is the request of DeregisterTaskDefinition.
type DeregisterTaskDefinitionInput struct {
	TaskDefinition string `json:"taskDefinition"`
}

// DeregisterTaskDefinitionOutput is the answer of DeregisterTaskDefinition.
type DeregisterTaskDefinitionOutput struct {
	TaskDefinition TaskDefinition `json:"taskDefinition"`
}

// ListTaskDefinitionsInput is the request of ListTaskDefinitions.
type ListTaskDefinitionsInput struct {
	FamilyPrefix string `json:"familyPrefix"`
	Status       string `json:"status"`
	Sort         string `json:"sort"`
	MaxResults   int    `json:"maxResults"`
	NextToken    string `json:"nextToken"`
}

// ListTaskDefinitionsOutput is the answer of ListTaskDefinitions.
type ListTaskDefinitionsOutput struct {
	TaskDefinitionArns []string `json:"taskDefinitionArns"`
	NextToken          string   `json:"nextToken,omitempty"`
}

// CreateServiceInput is the request of CreateService.
type CreateServiceInput struct {
	Cluster                       string                         `json:"cluster"`
	ServiceName                   string                         `json:"serviceName"`
	TaskDefinition                string                         `json:"taskDefinition"`
	AvailabilityZoneRebalancing   string                         `json:"availabilityZoneRebalancing"`
	LoadBalancers                 []LoadBalancer                 `json:"loadBalancers"`
	DesiredCount                  *int                           `json:"desiredCount"`
	ClientToken                   string                         `json:"clientToken"`
	LaunchType                    string                         `json:"launchType"`
	CapacityProviderStrategy      []CapacityProviderStrategyItem `json:"capacityProviderStrategy"`
	DeploymentConfiguration       *DeploymentConfiguration       `json:"deploymentConfiguration"`
	PlacementConstraints          []PlacementConstraint          `json:"placementConstraints"`
	PlacementStrategy             []PlacementStrategy            `json:"placementStrategy"`
	NetworkConfiguration          *NetworkConfiguration          `json:"networkConfiguration"`
	HealthCheckGracePeriodSeconds int                            `json:"healthCheckGracePeriodSeconds"`
	SchedulingStrategy            string                         `json:"schedulingStrategy"` // REPLICA (default) or DAEMON
	DeploymentController          *DeploymentController          `json:"deploymentController"`
	Tags                          []Tag                          `json:"tags"`
	EnableECSManagedTags          bool                           `json:"enableECSManagedTags"`
	EnableExecuteCommand          bool                           `json:"enableExecuteCommand"`
	PropagateTags                 string                         `json:"propagateTags"`
}

// CreateServiceOutput is the answer of CreateService.
type CreateServiceOutput struct {
	Service Service `json:"service"`
}

// UpdateServiceInput is the request of UpdateService. What is nil or empty stays as it is.
type UpdateServiceInput struct {
	Cluster                     string                         `json:"cluster"`
	Service                     string                         `json:"service"`
	DesiredCount                *int                           `json:"desiredCount"`
	TaskDefinition              string                         `json:"taskDefinition"`
	CapacityProviderStrategy    []CapacityProviderStrategyItem `json:"capacityProviderStrategy"`
	DeploymentConfiguration     *DeploymentConfiguration       `json:"deploymentConfiguration"`
	AvailabilityZoneRebalancing string                         `json:"availabilityZoneRebalancing"`
	NetworkConfiguration        *NetworkConfiguration          `json:"networkConfiguration"`
	PlacementConstraints        *[]PlacementConstraint         `json:"placementConstraints"`
	PlacementStrategy           *[]PlacementStrategy           `json:"placementStrategy"`
	ForceNewDeployment          bool                           `json:"forceNewDeployment"`
	// HealthCheckGracePeriodSeconds and the rest do not begin a deployment, but for
	// LoadBalancers.
	HealthCheckGracePeriodSeconds *int                  `json:"healthCheckGracePeriodSeconds"`
	EnableECSManagedTags          *bool                 `json:"enableECSManagedTags"`
	EnableExecuteCommand          *bool                 `json:"enableExecuteCommand"`
	PropagateTags                 string                `json:"propagateTags"`
	LoadBalancers                 *[]LoadBalancer       `json:"loadBalancers"`
	DeploymentController          *DeploymentController `json:"deploymentController"`
}

// UpdateServiceOutput is the answer of UpdateService.
type UpdateServiceOutput struct {
	Service Service `json:"service"`
}

// DeleteServiceInput is the request of DeleteService.
type DeleteServiceInput struct {
	Cluster string `json:"cluster"`
	Service string `json:"service"`
	Force   bool   `json:"force"`
}

// DeleteServiceOutput is the answer of DeleteService.
type DeleteServiceOutput struct {
	Service Service `json:"service"`
}

// ListServicesInput is the request of ListServices: pages of 10 unless told, 100 at most.
type ListServicesInput struct {
	Cluster            string `json:"cluster"`
	MaxResults         int    `json:"maxResults"`
	NextToken          string `json:"nextToken"`
	LaunchType         string `json:"launchType"`
	SchedulingStrategy string `json:"schedulingStrategy"`
}

// ListServicesOutput is the answer of ListServices.
type ListServicesOutput struct {
	ServiceArns []string `json:"serviceArns"`
	NextToken   string   `json:"nextToken,omitempty"`
}

// DescribeServicesInput is the request of DescribeServices: at most 10. Include: TAGS.
type DescribeServicesInput struct {
	Cluster  string   `json:"cluster"`
	Services []string `json:"services"`
	Include  []string `json:"include"`
}

// DescribeServicesOutput is the answer of DescribeServices.
type DescribeServicesOutput struct {
	Services []Service `json:"services"`
	Failures []Failure `json:"failures"`
}

// RunTaskInput is the request of RunTask: at most 10 tasks.
type RunTaskInput struct {
	Cluster                  string                         `json:"cluster"`
	TaskDefinition           string                         `json:"taskDefinition"`
	Count                    *int                           `json:"count"`
	ClientToken              string                         `json:"clientToken"`
	CapacityProviderStrategy []CapacityProviderStrategyItem `json:"capacityProviderStrategy"`
	LaunchType               string                         `json:"launchType"`
	Group                    string                         `json:"group"`
	Overrides                *TaskOverride                  `json:"overrides"`
	PlacementConstraints     []PlacementConstraint          `json:"placementConstraints"`
	PlacementStrategy        []PlacementStrategy            `json:"placementStrategy"`
	NetworkConfiguration     *NetworkConfiguration          `json:"networkConfiguration"`
	StartedBy                string                         `json:"startedBy"`
	Tags                     []Tag                          `json:"tags"`
	PropagateTags            string                         `json:"propagateTags"`
}

// RunTaskOutput is the answer of RunTask.
type RunTaskOutput struct {
	Tasks    []Task    `json:"tasks"`
	Failures []Failure `json:"failures"`
}

// StopTaskInput is the request of StopTask.
type StopTaskInput struct {
	Cluster string `json:"cluster"`
	Task    string `json:"task"`
	Reason  string `json:"reason"`
}

// StopTaskOutput is the answer of StopTask.
type StopTaskOutput struct {
	Task Task `json:"task"`
}

// ListTasksInput is the request of ListTasks. DesiredStatus is RUNNING unless told.
type ListTasksInput struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
	Family            string `json:"family"`
	NextToken         string `json:"nextToken"`
	MaxResults        int    `json:"maxResults"`
	StartedBy         string `json:"startedBy"`
	ServiceName       string `json:"serviceName"`
	DesiredStatus     string `json:"desiredStatus"`
	LaunchType        string `json:"launchType"`
}

// ListTasksOutput is the answer of ListTasks.
type ListTasksOutput struct {
	TaskArns  []string `json:"taskArns"`
	NextToken string   `json:"nextToken,omitempty"`
}

// DescribeTasksInput is the request of DescribeTasks: at most 100. Include: TAGS.
type DescribeTasksInput struct {
	Cluster string   `json:"cluster"`
	Tasks   []string `json:"tasks"`
	Include []string `json:"include"`
}

// DescribeTasksOutput is the answer of DescribeTasks.
type DescribeTasksOutput struct {
	Tasks    []Task    `json:"tasks"`
	Failures []Failure `json:"failures"`
}

// ListContainerInstancesInput is the request of ListContainerInstances. Filter is a
// cluster query; without Status every status but INACTIVE is listed.
type ListContainerInstancesInput struct {
	Cluster    string `json:"cluster"`
	Filter     string `json:"filter"`
	NextToken  string `json:"nextToken"`
	MaxResults int    `json:"maxResults"`
	Status     string `json:"status"`
}

// ListContainerInstancesOutput is the answer of ListContainerInstances.
type ListContainerInstancesOutput struct {
	ContainerInstanceArns []string `json:"containerInstanceArns"`
	NextToken             string   `json:"nextToken,omitempty"`
}

// DescribeContainerInstancesInput is the request of DescribeContainerInstances: at most
// 100. Include: TAGS, CONTAINER_INSTANCE_HEALTH.
type DescribeContainerInstancesInput struct {
	Cluster            string   `json:"cluster"`
	ContainerInstances []string `json:"containerInstances"`
	Include            []string `json:"include"`
}

// DescribeContainerInstancesOutput is the answer of DescribeContainerInstances.
type DescribeContainerInstancesOutput struct {
	ContainerInstances []ContainerInstance `json:"containerInstances"`
	Failures           []Failure           `json:"failures"`
}

// UpdateContainerInstancesStateInput is the request of UpdateContainerInstancesState: at
// most 10, to ACTIVE or DRAINING.
type UpdateContainerInstancesStateInput struct {
	Cluster            string   `json:"cluster"`
	ContainerInstances []string `json:"containerInstances"`
	Status             string   `json:"status"`
}

// UpdateContainerInstancesStateOutput is the answer of UpdateContainerInstancesState.
type UpdateContainerInstancesStateOutput struct {
	ContainerInstances []ContainerInstance `json:"containerInstances"`
	Failures           []Failure           `json:"failures"`
}

// DeregisterContainerInstanceInput is the request of DeregisterContainerInstance. Without
// Force it is refused while tasks run.
type DeregisterContainerInstanceInput struct {
	Cluster           string `json:"cluster"`
	ContainerInstance string `json:"containerInstance"`
	Force             bool   `json:"force"`
}

// DeregisterContainerInstanceOutput is the answer of DeregisterContainerInstance.
type DeregisterContainerInstanceOutput struct {
	ContainerInstance ContainerInstance `json:"containerInstance"`
}

// PutAttributesInput is the request of PutAttributes: at most 10.
type PutAttributesInput struct {
	Cluster    string      `json:"cluster"`
	Attributes []Attribute `json:"attributes"`
}

// PutAttributesOutput is the answer of PutAttributes.
type PutAttributesOutput struct {
	Attributes []Attribute `json:"attributes"`
}

// DeleteAttributesInput is the request of DeleteAttributes.
type DeleteAttributesInput struct {
	Cluster    string      `json:"cluster"`
	Attributes []Attribute `json:"attributes"`
}

// DeleteAttributesOutput is the answer of DeleteAttributes.
type DeleteAttributesOutput struct {
	Attributes []Attribute `json:"attributes"`
}

// ListAttributesInput is the request of ListAttributes; TargetType is container-instance.
type ListAttributesInput struct {
	Cluster        string `json:"cluster"`
	TargetType     string `json:"targetType"`
	AttributeName  string `json:"attributeName"`
	AttributeValue string `json:"attributeValue"`
	NextToken      string `json:"nextToken"`
	MaxResults     int    `json:"maxResults"`
}

// ListAttributesOutput is the answer of ListAttributes.
type ListAttributesOutput struct {
	Attributes []Attribute `json:"attributes"`
	NextToken  string      `json:"nextToken,omitempty"`
}

// UpdateTaskProtectionInput is the request of UpdateTaskProtection: at most 10.
type UpdateTaskProtectionInput struct {
	Cluster           string   `json:"cluster"`
	Tasks             []string `json:"tasks"`
	ProtectionEnabled bool     `json:"protectionEnabled"`
	ExpiresInMinutes  *int     `json:"expiresInMinutes"`
}

// UpdateTaskProtectionOutput is the answer of UpdateTaskProtection.
type UpdateTaskProtectionOutput struct {
	ProtectedTasks []ProtectedTask `json:"protectedTasks"`
	Failures       []Failure       `json:"failures"`
}

// GetTaskProtectionInput is the request of GetTaskProtection: at most 100.
type GetTaskProtectionInput struct {
	Cluster string   `json:"cluster"`
	Tasks   []string `json:"tasks"`
}

// GetTaskProtectionOutput is the answer of GetTaskProtection.
type GetTaskProtectionOutput struct {
	ProtectedTasks []ProtectedTask `json:"protectedTasks"`
	Failures       []Failure       `json:"failures"`
}

// DescribeCapacityProvidersInput is the request of DescribeCapacityProviders.
type DescribeCapacityProvidersInput struct {
	CapacityProviders []string `json:"capacityProviders"`
	Include           []string `json:"include"`
	MaxResults        int      `json:"maxResults"`
	NextToken         string   `json:"nextToken"`
}

// DescribeCapacityProvidersOutput is the answer of DescribeCapacityProviders.
type DescribeCapacityProvidersOutput struct {
	CapacityProviders []CapacityProvider `json:"capacityProviders"`
	Failures          []Failure          `json:"failures"`
	NextToken         string             `json:"nextToken,omitempty"`
}

// ListAccountSettingsInput is the request of ListAccountSettings.
type ListAccountSettingsInput struct {
	Name              string `json:"name"`
	Value             string `json:"value"`
	PrincipalArn      string `json:"principalArn"`
	EffectiveSettings bool   `json:"effectiveSettings"`
	NextToken         string `json:"nextToken"`
	MaxResults        int    `json:"maxResults"`
}

// ListAccountSettingsOutput is the answer of ListAccountSettings.
type ListAccountSettingsOutput struct {
	Settings  []AccountSetting `json:"settings"`
	NextToken string           `json:"nextToken,omitempty"`
}

// PutAccountSettingInput is the request of PutAccountSetting.
type PutAccountSettingInput struct {
	Name         string `json:"name"`
	Value        string `json:"value"`
	PrincipalArn string `json:"principalArn"`
}

// PutAccountSettingOutput is the answer of PutAccountSetting.
type PutAccountSettingOutput struct {
	Setting AccountSetting `json:"setting"`
}

// TagResourceInput is the request of TagResource.
type TagResourceInput struct {
	ResourceArn string `json:"resourceArn"`
	Tags        []Tag  `json:"tags"`
}

// TagResourceOutput is the answer of TagResource.
type TagResourceOutput struct{}

// UntagResourceInput is the request of UntagResource.
type UntagResourceInput struct {
	ResourceArn string   `json:"resourceArn"`
	TagKeys     []string `json:"tagKeys"`
}

// UntagResourceOutput is the answer of UntagResource.
type UntagResourceOutput struct{}

// ListTagsForResourceInput is the request of ListTagsForResource.
type ListTagsForResourceInput struct {
	ResourceArn string `json:"resourceArn"`
}

// ListTagsForResourceOutput is the answer of ListTagsForResource.
type ListTagsForResourceOutput struct {
	Tags []Tag `json:"tags"`
}
