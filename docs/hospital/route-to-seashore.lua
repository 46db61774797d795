-- Every ultrasound cine goes to Seashore; what Seashore itself sends never does.
function OnStoredInstance(instanceId, tags, metadata, origin)
  local frames = tonumber(tags['NumberOfFrames'] or '1')
  if tags['Modality'] == 'US' and frames > 1 and origin['RemoteAet'] ~= 'SEASHORE' then
    SendToModality(instanceId, 'seashore')
  end
end
